// Search when the site is opened from the disk, where browsers start no workers: the worker's script
// runs in a hidden frame instead, and messages go to and fro as they would to a worker.

"use strict";

class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.waiting = [];
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.append(this.frame);
    const inner = this.frame.contentWindow;
    inner.postMessage = (data) => {
      setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
    };
    const script = inner.document.createElement("script");
    script.src = url;
    script.onload = () => {
      const early = this.waiting;
      this.waiting = null;
      early.forEach((data) => this.postMessage(data));
    };
    inner.document.body.append(script);
  }

  postMessage(data) {
    if (this.waiting) {
      this.waiting.push(data);
    } else {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}
