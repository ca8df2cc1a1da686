// Sorting and enlarging, for whoever reads with scripts; without them tables keep their order and figures their size.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const groups = () => [...body.rows].reduce((all, row) => {  // a row and the note under it stay together
    if (row.cells.length === 1 && row.cells[0].className === "why") all[all.length - 1].push(row);
    else all.push([row]);
    return all;
  }, []);
  if (groups().length < 3) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const text = group => group[0].cells[column].textContent.trim();
      const number = group => parseFloat(text(group).replaceAll(",", ""));
      const numeric = head.className === "number", sorted = groups().sort((a, b) => {
        const [x, y] = numeric ? [number(a), number(b)] : [text(a), text(b)], empty = numeric ? isNaN : one => one === "";
        if (empty(x) || empty(y)) return empty(x) - empty(y);  // empty cells last, either way
        return (numeric ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
      });
      body.append(...sorted.flat());
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
const large = document.createElement("dialog");
large.addEventListener("click", () => large.close());
document.body.append(large);
for (const image of document.querySelectorAll("figure img")) {
  const button = document.createElement("button");
  button.className = "enlarge";
  button.title = "enlarge";
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    large.replaceChildren(image.cloneNode());
    large.showModal();
  });
}
