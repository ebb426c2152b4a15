// Filters and a sorter for narrow screens, on which the heads of the columns are not shown.
{
  const form = document.querySelector("form.controls");
  const table = document.querySelector("table.scans");
  const heads = [...table.tHead.rows[0].cells];
  const count = form.querySelector("output");
  const find = form.elements.find;
  let show = "";
  const apply = () => {
    const words = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const flags = row.dataset.flags.split(" ").filter(Boolean);
      const kind = show === "" || (show === "flagged" ? flags.length > 0
        : show === "failed" ? row.dataset.status === "failed" : flags.includes(show));
      const text = row.querySelector("th").textContent.toLowerCase();
      row.hidden = !(kind && words.every((word) => text.includes(word)));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${table.tBodies[0].rows.length} scans`;
  };
  for (const button of form.querySelectorAll("button[data-show]")) {
    button.addEventListener("click", () => {
      show = button.dataset.show;
      for (const other of form.querySelectorAll("button[data-show]")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      apply();
    });
  }
  find.addEventListener("input", apply);
  form.elements.sort.addEventListener("change", (event) => {
    const head = heads[Number(event.target.value || 1) - (event.target.value ? 0 : 1)];
    head.removeAttribute("aria-sort");
    head.querySelector("button").click();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}
