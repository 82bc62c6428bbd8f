// SPDX-License-Identifier: MIT
// widget.js: the script of a page whose site asks nobody first; consent.js is the other one.
import { start } from "./start.js";

start(false);
