// SPDX-License-Identifier: MIT
// A stylesheet imported as text (see proto/embed.mjs).
declare module "*.css" {
  const text: string;
  export default text;
}
// The address at which a script is served that an entry imports so.
declare module "*.js?url" {
  const address: string;
  export default address;
}
