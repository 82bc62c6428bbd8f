// SPDX-License-Identifier: MIT
// texts.js: the widget's words in the site's two languages: l1, its own, and l2, for visitors from
// elsewhere. The site's settings replace any of them.

/**
 * @typedef {object} Texts
 * @property {string} lang ISO code
 * @property {string} title
 * @property {string} online
 * @property {string} offline
 * @property {string} welcome
 * @property {string} away
 * @property {string} open name of the launcher
 * @property {string} close
 * @property {string} write placeholder
 * @property {string} send
 * @property {string} sending
 * @property {string} sent
 * @property {string} failed
 * @property {string} agent who speaks when no operator is named
 */

/** @type {Record<"l1" | "l2", Texts>} */
const DEFAULTS = {
  l1: {
    lang: "en",
    title: "Chat with us",
    online: "Online",
    offline: "Away right now",
    welcome: "Hello! How can we help you?",
    away: "We are away right now. Leave a message and we will get back to you.",
    open: "Open chat",
    close: "Minimize chat",
    write: "Write a message…",
    send: "Send",
    sending: "Sending…",
    sent: "Sent",
    failed: "Not sent",
    agent: "Support",
  },
  l2: {
    lang: "de",
    title: "Chatten Sie mit uns",
    online: "Online",
    offline: "Gerade nicht da",
    welcome: "Guten Tag! Wie können wir helfen?",
    away: "Wir sind gerade nicht da. Hinterlassen Sie eine Nachricht, wir melden uns.",
    open: "Chat öffnen",
    close: "Chat minimieren",
    write: "Nachricht schreiben…",
    send: "Senden",
    sending: "Wird gesendet…",
    sent: "Gesendet",
    failed: "Nicht gesendet",
    agent: "Support",
  },
};

/**
 * @param {{l1?: Partial<Texts>, l2?: Partial<Texts>}} settings
 * @param {string} language l1, l2, or the ISO code of one of them; anything else means l1
 * @returns {Texts}
 */
export function textsOf(settings, language) {
  const l1 = { ...DEFAULTS.l1, ...settings.l1 };
  const l2 = { ...DEFAULTS.l2, ...settings.l2 };
  if (language === "l2") return l2;
  const code = language.toLowerCase();
  return code === l2.lang && code !== l1.lang ? l2 : l1;
}
