// One stream of changes for all tabs of a browser: to one host there are six connections, and each tab would hold one.
const tabs = new Set();
const address = new URL(self.location).searchParams.get("stream");
let source, state = "lost";

function tell(message) {
  for (const tab of tabs) tab.postMessage(message);
}

function listen() {
  source = new EventSource(address);
  source.onopen = () => tell({ state: (state = "open") });
  source.onerror = () => {
    tell({ state: (state = "lost") });
    // After an answer that is no stream, a browser does not try again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  for (const kind of ["experiment", "job", "model"]) {
    source.addEventListener(kind, ({ data }) => tell({ changed: JSON.parse(data) }));
  }
  source.addEventListener("begin-again", () => tell({ all: true }));
}

self.onconnect = ({ ports: [tab] }) => {
  tabs.add(tab);
  tab.onmessage = () => {
    tabs.delete(tab);
    if (tabs.size) return;
    source.close();
    source = undefined;
    state = "lost";
  };
  if (source) tab.postMessage({ state });
  else listen();
};
