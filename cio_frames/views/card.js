// Buttons, search and sorting, where a front end runs scripts. Without it a card is whole.
(script => {
  const card = script && script.parentElement;
  if (!card) return;
  const made = (name, own) => Object.assign(document.createElement(name), own);
  const small = "font:inherit;font-size:12px;margin:0 8px;padding:0 6px;cursor:pointer;color:inherit;background:none;border:1px solid;border-radius:4px;opacity:.75";

  for (const code of card.querySelectorAll('code[style*="user-select"]')) {
    const button = made("button", {type: "button", textContent: "Copy"});
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
    const said = `Search ${rows.length} rows`;
    const search = made("input", {type: "search", placeholder: said, ariaLabel: said});
    search.style = small;
    search.oninput = () => {
      const wanted = search.value.toLowerCase();
      const holds = cell => cell.textContent.toLowerCase().includes(wanted);
      for (const row of rows) row.hidden = ![...row.cells].some(holds);
      for (const body of bodies.slice(1)) {
        const page = body.closest("details");
        page.hidden = [...body.rows].every(row => row.hidden);
        page.open = wanted && !page.hidden;
      }
    };
    part.prepend(search);
    const heads = [...part.querySelectorAll("th")];
    const text = (row, place) => row.cells[place].textContent.replace(/,(?=\d{3})/g, "");
    for (const head of heads) {
      const place = head.cellIndex;
      Object.assign(head, {tabIndex: 0, title: "Sort"});
      head.style.cursor = "pointer";
      head.onkeydown = event => event.key === "Enter" && head.click();
      head.onclick = () => {
        const up = head.ariaSort !== "ascending";
        for (const each of heads) {
          each.ariaSort = each.cellIndex !== place ? "none" : up ? "ascending" : "descending";
        }
        const order = (a, b) => text(a, place).localeCompare(text(b, place), "en", {numeric: true});
        rows.sort((a, b) => (up ? order(a, b) : order(b, a)));
        let start = 0;
        bodies.forEach((body, at) => body.append(...rows.slice(start, (start += sizes[at]))));
      };
    }
  }
})(document.currentScript);
