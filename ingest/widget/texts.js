// SPDX-License-Identifier: MIT
// texts.js: the widget's words in the site's two languages: l1, its own, and l2, for visitors from
// elsewhere. The site's settings replace any of them; what they leave out is in their language where
// it is one of ours, else in English.

/**
 * @typedef {object} Texts
 * @property {string} lang code of the language
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
 * @property {string} sent the server has it on disk; nobody has read it
 * @property {string} failed
 * @property {string} retry
 * @property {string} agent who speaks when no operator is named
 * @property {string} form what stands above the form
 * @property {string} name
 * @property {string} email
 * @property {string} phone
 * @property {string} notes
 * @property {string} required what is said of an empty field
 * @property {string} invalid what is said of an address that is none
 * @property {string} start
 * @property {string} consent what the visitor is asked to agree to, on sites that ask
 * @property {string} accept
 * @property {string} decline
 */

/** @type {Texts} */
const ENGLISH = {
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
  sent: "Message left",
  failed: "Not sent",
  retry: "Try again",
  agent: "Support",
  form: "Tell us how to reach you, then write to us.",
  name: "Name",
  email: "Email",
  phone: "Phone",
  notes: "Notes",
  required: "Please fill this in.",
  invalid: "This is not an email address.",
  start: "Continue",
  consent:
    "We store what you write, and a random number in your browser to know you by. Do you agree?",
  accept: "I agree",
  decline: "No, thanks",
};

/** @type {Texts} */
const GERMAN = {
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
  sent: "Nachricht hinterlassen",
  failed: "Nicht gesendet",
  retry: "Noch einmal versuchen",
  agent: "Support",
  form: "Sagen Sie uns, wie wir Sie erreichen, und schreiben Sie uns dann.",
  name: "Name",
  email: "E-Mail",
  phone: "Telefon",
  notes: "Anmerkungen",
  required: "Bitte ausfüllen.",
  invalid: "Das ist keine E-Mail-Adresse.",
  start: "Weiter",
  consent:
    "Wir speichern, was Sie schreiben, und in Ihrem Browser eine Zufallszahl, an der wir Sie erkennen. Einverstanden?",
  accept: "Einverstanden",
  decline: "Nein, danke",
};

const RTL_LANGUAGE = /^(ar|ckb|dv|fa|he|iw|ps|sd|ug|ur|yi)\b/i;
const RTL_LETTER = /^\P{L}*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/u;

/** @param {string} code */
const primary = (code) => code.toLowerCase().split("-")[0];

/**
 * @param {any} words of one language, from the settings
 * @param {Texts} ours
 * @returns {Texts}
 */
function completed(words, ours) {
  if (typeof words?.lang === "string") ours = primary(words.lang) === "de" ? GERMAN : ENGLISH;
  const texts = { ...ours };
  for (const key of /** @type {(keyof Texts)[]} */ (Object.keys(ours))) {
    const text = words?.[key];
    if (text && typeof text === "string") texts[key] = text;
  }
  return texts;
}

/**
 * The words to show.
 * @param {import("./boot.js").Settings} settings
 * @param {string} language l1, l2, or the code of one of them; another means l1; "" goes by the
 *   browser's and the settings' l2_languages
 */
export function textsOf({ texts, l2_languages }, language) {
  const l1 = completed(texts?.l1, ENGLISH);
  const l2 = completed(texts?.l2, GERMAN);
  const wanted = (language || navigator.language).toLowerCase();
  if (wanted === "l2") return l2;
  if (language) {
    const lower = (/** @type {Texts} */ { lang }) => lang.toLowerCase();
    if (wanted === lower(l2)) return wanted === lower(l1) ? l1 : l2;
    return primary(wanted) === primary(l2.lang) && primary(wanted) !== primary(l1.lang) ? l2 : l1;
  }
  const listed = Array.isArray(l2_languages) ? l2_languages : [];
  return listed.some((code) => (wanted + "-").startsWith(String(code).toLowerCase() + "-"))
    ? l2
    : l1;
}

/**
 * Which way the words run: as their language does, whose code may be missing.
 * @param {Texts} texts
 */
export function directionOf({ lang, title }) {
  return RTL_LANGUAGE.test(lang) || RTL_LETTER.test(title) ? "rtl" : "ltr";
}
