// What the pages cannot do by HTML alone; without this file they still work.
"use strict";

// A dialog that htmx has fetched opens above the page, and leaves it when it is closed.
document.addEventListener("htmx:after:swap", () => {
  const dialog = document.querySelector("dialog[data-modal]:not([open])");
  if (!dialog) return;
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
});

document.addEventListener("click", (event) => {
  const closer = event.target.closest("dialog [data-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
});

// The order is sent once, however often the button is pressed.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-once]")) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
  event.target.querySelector("[type=submit]").setAttribute("aria-busy", "true");
});

// A page that the browser kept shows the form as it was: it may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
});

// The button appears where copying can work: on pages served over HTTPS or from this machine.
function addCopyButtons() {
  if (!navigator.clipboard) return;
  for (const value of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${value.closest("div").querySelector("dt").textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(value.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    value.after(button);
  }
}

addCopyButtons();
