// An order of the answers, ties included, by mouse or keyboard; when every answer has its rank, the form goes off by itself.
const form = document.getElementById("judge");
const choices = [...form.querySelectorAll(".choice")];
let placed = []; // groups of places, the best first; those of one group tie
let sent = false;

const left = () => choices.map((_, place) => place).filter(place => !placed.flat().includes(place));

function show() {
  choices.forEach((choice, place) => {
    const rank = placed.findIndex(group => group.includes(place));
    choice.classList.toggle("placed", rank >= 0);
    choice.querySelector(".rank").textContent = rank < 0 ? "" : rank === 0 ? "best" : `${rank + 1}.`;
  });
}

function send() {
  if (sent) return;
  sent = true;
  form.elements.ranks.value = choices.map((_, place) => placed.findIndex(group => group.includes(place)) + 1).join(",");
  form.submit();
}

function place(index, tied) {
  if (sent || !left().includes(index)) return;
  if (tied && placed.length) placed.at(-1).push(index);
  else placed.push([index]);
  const rest = left();
  if (rest.length === 1) placed.push(rest);
  show();
  if (left().length === 0) send();
}

function rest() {
  if (sent) return;
  const others = left();
  if (others.length) placed.push(others);
  show();
  send();
}

function undo() {
  if (sent) return;
  const last = placed.at(-1);
  if (last) last.pop();
  placed = placed.filter(group => group.length);
  show();
}

choices.forEach((choice, index) => choice.addEventListener("click", event => place(index, event.shiftKey)));
document.getElementById("rest").addEventListener("click", rest);
document.getElementById("undo").addEventListener("click", undo);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (digit && Number(digit[1]) <= choices.length) place(Number(digit[1]) - 1, event.shiftKey);
  else if (event.key === "=" || event.key === "0") rest();
  else if (event.key === "Backspace" || event.key === "u") undo();
  else if (event.key === "s") document.getElementById("skip").click();
  else if (event.key === "b") document.getElementById("back")?.click();
  else return;
  event.preventDefault();
});
