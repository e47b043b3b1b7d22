// What the pages cannot do by HTML alone; without this file they still work.
"use strict";

const ourPart = document.querySelector(".melody-logs");

// In a host's layout our htmx keeps to our part, and leaves its name to the one that the host may have.
if (ourPart.matches(".ml-guest")) {
  const ours = window.htmx;
  const process = ours.process;
  ours.process = (element, ...more) => process.call(ours, element === document.body ? ourPart : element, ...more);
  window.htmx = window.melodyLogs.theirs;
}

// A dialog that htmx has fetched opens above the page, and leaves it when it is closed.
ourPart.addEventListener("htmx:after:swap", () => {
  const dialog = ourPart.querySelector("dialog[data-ml-modal]:not([open])");
  if (!dialog) return;
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
});

ourPart.addEventListener("click", (event) => {
  const closer = event.target.closest("dialog [data-ml-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
});

// The order is sent once, however often the button is pressed.
ourPart.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-ml-once]")) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
  event.target.querySelector("[type=submit]").setAttribute("aria-busy", "true");
});

// A page that the browser kept shows the form as it was: it may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of ourPart.querySelectorAll("form[data-ml-once]")) delete form.dataset.sent;
});

// The button appears where copying can work: on pages served over HTTPS or from this machine.
function addCopyButtons() {
  if (!navigator.clipboard) return;
  for (const value of ourPart.querySelectorAll("[data-ml-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "ml-copy";
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
