// @ts-check
import { encodeBase64 } from "./pcm.js";

/** @typedef {"denied" | "missing" | "taken" | "insecure" | "failed"} Trouble */

/** Why there is no microphone. */
export class MicrophoneError extends Error {
  /** @param {Trouble} trouble  @param {string} detail */
  constructor(trouble, detail) {
    super(detail);
    this.trouble = trouble;
  }
}

/** @type {Record<string, Trouble>} */
const TROUBLES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "taken",
  AbortError: "taken",
};

/**
 * The microphone's sound in frames for the wire, and what the ear at its side notices.
 * @typedef {object} MicrophoneListener
 * @property {(audio: string) => void} framed  20 ms, in base64.
 * @property {(change: "onset" | "quiet") => void} noticed
 * @property {(isOver: boolean) => void} interrupted  The device took the microphone away, or has given it back.
 * @property {() => void} unplugged
 */

export class Microphone {
  /** @param {AudioContext} context  its capture worklet loaded  @param {MicrophoneListener} listener */
  constructor(context, listener) {
    this.listener = listener;
    this.analyser = new AnalyserNode(context, { fftSize: 512 });
    this.node = new AudioWorkletNode(context, "kaiwa-capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.node.port.onmessage = ({ data }) => this.take(data);
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {MediaStreamAudioSourceNode | null} */
    this.source = null;
    this.interrupted = false;
  }

  /** The device that is open, "" when none is. */
  get deviceId() {
    return this.stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  get label() {
    return this.stream?.getAudioTracks()[0]?.label ?? "";
  }

  /** Listen to a stream, in place of the one before. @param {MediaStream} stream */
  attach(stream) {
    this.release();
    const [track] = stream.getAudioTracks();
    // A track that this page stops itself fires no such event.
    track.onended = () => this.stream === stream && this.listener.unplugged();
    track.onmute = () => this.stream === stream && this.interrupt(true);
    track.onunmute = () => this.stream === stream && this.interrupt(false);
    this.stream = stream;
    this.source = new MediaStreamAudioSourceNode(/** @type {AudioContext} */ (this.node.context), { mediaStream: stream });
    this.source.connect(this.node);
    this.source.connect(this.analyser);
  }

  release() {
    this.source?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.source = this.stream = null;
    this.interrupted = false;
  }

  /** @param {boolean} interrupted */
  interrupt(interrupted) {
    if (interrupted === this.interrupted) return;
    this.interrupted = interrupted;
    this.listener.interrupted(!interrupted);
  }

  /** @param {any} message */
  take(message) {
    if (message.type !== "frame") return this.listener.noticed(message.type);
    this.listener.framed(encodeBase64(message.pcm));
    this.node.port.postMessage({ type: "recycle", pcm: message.pcm }, [message.pcm]);
  }
}

/**
 * Ask for a microphone: the one named, or whatever there is.
 * @param {string} deviceId  "" for the system's choice
 * @returns {Promise<MediaStream>}
 */
export async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("insecure", "no mediaDevices");
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: deviceId ? { ...audio, deviceId: { exact: deviceId } } : audio,
    });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    if (deviceId && TROUBLES[name] === "missing") return openMicrophone("");
    throw new MicrophoneError(TROUBLES[name] ?? "failed", `${name}: ${message}`);
  }
}

/** @returns {Promise<MediaDeviceInfo[]>} */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId);
}
