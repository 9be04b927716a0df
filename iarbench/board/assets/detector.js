// A detector's page: its tables sort and filter, its commands have a button that copies them.
"use strict";

for (const table of document.querySelectorAll("table")) Board.sortable(table, null);
for (const command of document.querySelectorAll("pre.again")) command.before(Board.copyButton(command.textContent));
