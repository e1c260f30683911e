// Samples from the microphone as they are: what browsers' own recorders write is compressed, and compressed again by what they do.

class Recorder extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]) this.port.postMessage(input[0].slice());
    return true;
  }
}

registerProcessor("recorder", Recorder);
