// What is wrong with what was typed into a field, said beside it and in the language of the page.

import { onLanguage, say } from "./words.js";

export class FieldFault {
  #input;
  #text;
  #key = "";

  /** input: the field; text: the element that says what is wrong with it. */
  constructor(input, text) {
    this.#input = input;
    this.#text = text;
    onLanguage(() => this.#draw());
  }

  /** Says what is wrong, and leads to the field; an empty key takes it back. */
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
