// In a host's layout: keeps the htmx that the host may have loaded, before ours takes the name.
"use strict";

window.melodyLogs = { theirs: window.htmx };
