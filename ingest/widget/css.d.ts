// SPDX-License-Identifier: MIT
// A stylesheet imported as text (see proto/embed.mjs).
declare module "*.css" {
  const text: string;
  export default text;
}
