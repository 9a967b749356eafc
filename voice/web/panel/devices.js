// @ts-check
import { listMicrophones } from "./microphone.js";

/** The choice of a microphone, kept up to date as devices come and go. */
export class Devices {
  /**
   * @param {HTMLSelectElement} select  @param {import("./conversation.js").Conversation} conversation
   * @param {import("./wording.js").Say} say
   */
  constructor(select, conversation, say) {
    this.select = select;
    this.conversation = conversation;
    this.say = say;
    this.shown = "";
    /** @type {(deviceId: string) => void} */
    this.chosen = () => {};
    select.onchange = () => this.chosen(select.value);
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
  }

  /** Their names are known only once a microphone was allowed. */
  async refresh() {
    const microphones = (await listMicrophones()).filter(({ deviceId }) => deviceId !== "default");
    const wanted = this.conversation.choices.deviceId;
    const options = [
      { value: "", text: this.say("default_microphone") },
      ...microphones.map(({ deviceId, label }, index) => ({ value: deviceId, text: label || `${this.say("microphone")} ${index + 1}` })),
    ];
    const shown = JSON.stringify([wanted, options]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.select.replaceChildren(...options.map(({ value, text }) => new Option(text, value, false, value === wanted)));
  }
}
