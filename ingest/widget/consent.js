// SPDX-License-Identifier: MIT
// consent.js: the script of a page whose site asks its visitors first (consent_needed). Only so does
// the widget know it before its first request, and the other sites' beacons need not wait for a boot.
import { start } from "./start.js";

start(true);
