// An error message next to an input field, in the language of the page.

import { onLanguage, say } from "./words.js";

export class FieldFault {
  #input;
  #text;
  #key = "";

  /** input: the field; text: the element for the message. */
  constructor(input, text) {
    this.#input = input;
    this.#text = text;
    onLanguage(() => this.#draw());
  }

  /** Shows the message and focuses the field; an empty key removes it. */
  say(key) {
    this.#key = key;
    this.#draw();
    if (key) this.#input.focus();
  }

  #draw() {
    this.#text.textContent = this.#key ? say(this.#key) : "";
    this.#text.hidden = !this.#key;
    this.#input.ariaInvalid = this.#key ? "true" : null;
    this.#input.parentElement.classList.toggle("is-wrong", Boolean(this.#key));
  }
}
