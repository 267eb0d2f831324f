// Buttons that save pictures, which the browser draws.

export default function ({ data, parentElement }) {
  const row = parentElement.querySelector(".paretoscope-save");
  row.replaceChildren(...data.pictures.map(({ label, figure, format }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.onclick = () => {
      window.paretoscopePlotly.then((Plotly) => {
        const drawn = JSON.parse(figure);
        const { width, height } = drawn.layout;
        const scale = format === "svg" ? 1 : data.sharp;
        Plotly.downloadImage(drawn, { format, width, height, scale, filename: data.name });
      });
    };
    return button;
  }));
}
