// The original system's way: the browser recognises what is said, the server is sent the text, answers in text and
// then in sound. Written as its pages are, from the protocol alone; it knows nothing of Kaiwa.
const RECONNECT_MS = 1000;
const wsproto = location.protocol === "https:" ? "wss" : "ws";
const transcript = document.getElementById("transcript");
const player = document.getElementById("reply");
let ws;

function write(who, text) {
  const line = document.createElement("li");
  line.className = who;
  line.textContent = text;
  transcript.append(line);
}

function connect() {
  ws = new WebSocket(`${wsproto}://${location.host}/api/chat`);
  ws.onopen = () => { document.getElementById("connection").textContent = "connected"; };
  ws.onmessage = (event) => {
    if (typeof event.data === "string") {
      write("assistant", event.data);
    } else {
      player.src = URL.createObjectURL(event.data);
      player.play();
    }
  };
  ws.onclose = () => {
    document.getElementById("connection").textContent = "reconnecting";
    setTimeout(connect, RECONNECT_MS);
  };
}

const SpeechRecognition = window.SpeechRecognition || window.webkitSpeechRecognition;
const recognition = new SpeechRecognition();
recognition.lang = "ja-JP";
recognition.onresult = (event) => {
  const text = event.results[event.results.length - 1][0].transcript;
  write("user", text);
  ws.send(text);
};
document.getElementById("speak").onclick = () => recognition.start();

connect();
