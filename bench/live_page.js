// Runs in the page before its own scripts: writes down how loud the microphone and the loudspeaker are, on one clock.
(() => {
  const MODULE = `
    class Recorder extends AudioWorkletProcessor {
      constructor() { super(); this.levels = []; }
      process([microphone, loudspeaker]) {
        const level = ([samples]) => samples ? Math.sqrt(samples.reduce((sum, it) => sum + it * it, 0) / samples.length) : 0;
        this.levels.push(currentTime * 1000, level(microphone), level(loudspeaker));
        if (this.levels.length >= 300) { this.port.postMessage(this.levels); this.levels = []; }
        return true;
      }
    }
    registerProcessor("bench-recorder", Recorder);`;
  window.benchLevels = [];
  const connect = AudioNode.prototype.connect;
  const recorders = new WeakMap();
  const makeRecorder = async (context) => {
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([MODULE], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "bench-recorder", { numberOfInputs: 2 });
    node.port.onmessage = ({ data }) => window.benchLevels.push(...data);
    connect.call(node, context.destination);
    return node;
  };
  const recorderOf = (context) => {
    if (!recorders.has(context)) recorders.set(context, makeRecorder(context));
    return recorders.get(context);
  };
  AudioNode.prototype.connect = function (target, ...others) {
    if (this.context instanceof AudioContext) {
      const input = target instanceof AudioDestinationNode ? 1 : this instanceof MediaStreamAudioSourceNode && target instanceof AudioWorkletNode ? 0 : null;
      if (input !== null) void recorderOf(this.context).then((recorder) => connect.call(this, recorder, 0, input));
    }
    return connect.call(this, target, ...others);
  };
})();
