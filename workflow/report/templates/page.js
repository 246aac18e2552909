// Sorting, filtering and copying. The page is complete without.
(() => {
  "use strict";
  const collator = new Intl.Collator("en", { numeric: true });
  // A cell of figures without a value of its own holds the paper's alone: nothing was measured.
  const unmeasured = (cell) => cell.matches(".results .num");
  const text = (cell) => (unmeasured(cell) ? "" : cell.textContent.trim());
  const key = (cell) => (cell.dataset.value !== undefined ? Number(cell.dataset.value) : text(cell));
  const missing = (value) => value === "" || value === "–";

  function compare(a, b) {
    if (missing(a) || missing(b)) return null; // stays last whatever the direction
    return typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  }

  function sort(table, column, header) {
    const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      const order = compare(a, b);
      return order === null ? missing(a) - missing(b) : direction * order;
    });
    body.append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[table.tHead.rows.length - 1].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.title = "Sort by this column";
      button.addEventListener("click", () => sort(table, column, header));
      header.append(button);
    });
  }

  for (const table of document.querySelectorAll("table[data-filter]")) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const box = document.createElement("div");
    box.className = "filters";
    const chosen = new Map();
    const shown = document.createElement("output");
    const apply = () => {
      let count = 0;
      for (const row of rows) {
        row.hidden = [...chosen].some(([column, value]) => value && row.dataset[`f${column}`] !== value);
        count += !row.hidden;
      }
      shown.textContent = `${count} of ${rows.length} shown`;
    };
    for (const name of table.dataset.filter.split(",")) {
      const column = heads.findIndex((head) => head.toLowerCase() === name);
      for (const row of rows) {
        const cell = row.cells[column];
        row.dataset[`f${column}`] = (cell.querySelector(".status") || cell).textContent.trim();
      }
      const values = [...new Set(rows.map((row) => row.dataset[`f${column}`]))].sort(collator.compare);
      const select = document.createElement("select");
      select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
      select.addEventListener("change", () => {
        chosen.set(column, select.value);
        apply();
      });
      const label = document.createElement("label");
      label.append(heads[column], select);
      box.append(label);
    }
    box.append(shown);
    table.parentElement.before(box);
    apply();
  }

  for (const command of document.querySelectorAll(".command")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command.firstElementChild.textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    command.append(button);
  }
})();
