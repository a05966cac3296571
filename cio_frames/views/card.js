// Buttons, search and sorting, where a front end runs scripts. A card is complete without them.
(script => {
  const card = script && script.parentElement;
  if (!card) return;
  const create = (name, properties) => Object.assign(document.createElement(name), properties);
  const small = "font:inherit;font-size:12px;margin:0 8px;padding:0 6px;cursor:pointer;color:inherit;background:none;border:1px solid;border-radius:4px;opacity:.75";

  for (const code of card.querySelectorAll('code[style*="user-select"]')) {
    const button = create("button", {type: "button", textContent: "Copy"});
    button.style = small;
    button.onclick = async () => {
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = "Copied";
    };
    code.after(button);
  }

  for (const part of card.querySelectorAll(".cio-rows")) {
    const bodies = [...part.querySelectorAll("tbody")];
    const sizes = bodies.map(body => body.rows.length);
    const rows = bodies.flatMap(body => [...body.rows]);
    const label = `Search ${rows.length} rows`;
    const search = create("input", {type: "search", placeholder: label, ariaLabel: label});
    search.style = small;
    search.oninput = () => {
      const query = search.value.toLowerCase();
      const matches = cell => cell.textContent.toLowerCase().includes(query);
      for (const row of rows) row.hidden = ![...row.cells].some(matches);
      for (const body of bodies.slice(1)) {
        const page = body.closest("details");
        page.hidden = [...body.rows].every(row => row.hidden);
        page.open = query && !page.hidden;
      }
    };
    part.prepend(search);
    const headers = [...part.querySelectorAll("th")];
    const text = (row, column) => row.cells[column].textContent.replace(/,(?=\d{3})/g, "");
    for (const header of headers) {
      const column = header.cellIndex;
      Object.assign(header, {tabIndex: 0, title: "Sort"});
      header.style.cursor = "pointer";
      header.onkeydown = event => event.key === "Enter" && header.click();
      header.onclick = () => {
        const isAscending = header.ariaSort !== "ascending";
        for (const other of headers) {
          other.ariaSort = other.cellIndex !== column ? "none" : isAscending ? "ascending" : "descending";
        }
        const compare = (a, b) => text(a, column).localeCompare(text(b, column), "en", {numeric: true});
        rows.sort((a, b) => (isAscending ? compare(a, b) : compare(b, a)));
        let start = 0;
        bodies.forEach((body, index) => body.append(...rows.slice(start, (start += sizes[index]))));
      };
    }
  }
})(document.currentScript);
