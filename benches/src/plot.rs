//! The plot: a group of bars for each kind of work, a bar for each subject, in colours that are legible on white and on black.

use std::fmt::Write as _;

use crate::figures::{Figures, ordered};
use crate::work::Work;

/// A part of the plot.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub title: &'a str,
    pub figures: &'a Figures,
    pub table: &'a str,
    pub works: &'a [Work],
    pub subjects: &'a [&'a str],
    /// The figure at which a line is drawn, if the figures are multiples of it.
    pub one: Option<f64>,
    pub decimals: usize,
}

const COLOURS: [&str; 7] = [
    "#2f81f7", "#8b949e", "#e3a008", "#d9623b", "#a371f7", "#3fb08f", "#db61a2",
];
const WIDTH: f64 = 860.0;
const LABELS: f64 = 190.0;
const BAR: f64 = 11.0;
const GAP: f64 = 14.0;

pub fn svg(panels: &[Panel<'_>]) -> String {
    let (mut body, mut top) = (String::new(), 10.0);
    // A table that was not measured has no panel.
    let measured = |panel: &&Panel<'_>| panel.figures.tables.contains_key(panel.table);
    for panel in panels.iter().filter(measured) {
        top = panel.draw(&mut body, top) + 24.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" width=\"{WIDTH}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <style>text {{ fill: #57606a }} .title {{ font-size: 14px; font-weight: 600 }} \
         .ours {{ font-weight: 600 }} .axis {{ stroke: #8b949e; stroke-opacity: .5 }} \
         @media (prefers-color-scheme: dark) {{ text {{ fill: #adb5bd }} }}</style>\n{body}</svg>\n"
    )
}

impl Panel<'_> {
    /// Draws the panel, and returns the top of the next one.
    fn draw(&self, svg: &mut String, top: f64) -> f64 {
        let most = self.most();
        let scale = (WIDTH - LABELS - 60.0) / most;
        let mut y = top + 14.0;
        text(svg, 0.0, y, "title", "start", self.title);
        y += 12.0;
        y = self.legend(svg, y);
        let start = y;
        for work in self.works {
            let middle = y + BAR * self.present(*work).len() as f64 / 2.0 + 4.0;
            let label = format!("{work} {}", work.description());
            text(svg, LABELS - 8.0, middle, "", "end", &label);
            for (place, name, figure) in self.present(*work) {
                let (colour, width) = (COLOURS[place % COLOURS.len()], figure * scale);
                let height = BAR - 1.5;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LABELS}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
                );
                let class = if name.starts_with("keycard") {
                    "ours"
                } else {
                    ""
                };
                text(
                    svg,
                    LABELS + width + 4.0,
                    y + 9.0,
                    class,
                    "start",
                    &format!("{figure:.decimals$}", decimals = self.decimals),
                );
                y += BAR;
            }
            y += GAP;
        }
        if let Some(one) = self.one {
            let (one, end) = (LABELS + one * scale, y - GAP / 2.0);
            let _ = writeln!(
                svg,
                "<line class=\"axis\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{start:.1}\" y2=\"{end:.1}\"/>"
            );
        }
        y
    }

    fn legend(&self, svg: &mut String, top: f64) -> f64 {
        let mut x = 0.0;
        let mut y = top;
        for (place, name) in self.subjects.iter().enumerate() {
            // The name of this crate is bold, and so wider.
            let letter = if name.starts_with("keycard") {
                7.2
            } else {
                6.4
            };
            let width = 26.0 + letter * name.len() as f64;
            if x + width > WIDTH {
                (x, y) = (0.0, y + 16.0);
            }
            let colour = COLOURS[place % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"
            );
            let class = if name.starts_with("keycard") {
                "ours"
            } else {
                ""
            };
            text(svg, x + 14.0, y + 9.0, class, "start", name);
            x += width;
        }
        y + 24.0
    }

    fn present(&self, work: Work) -> Vec<(usize, &str, f64)> {
        let figure = |name: &str| self.figures.get(self.table, name, work);
        let all = self.subjects.iter().enumerate();
        all.filter_map(|(place, name)| Some((place, *name, figure(name)?)))
            .collect()
    }

    fn most(&self) -> f64 {
        let table = self.figures.tables.get(self.table);
        let rows = table.map(ordered).unwrap_or_default();
        let shown = rows
            .into_iter()
            .filter(|(name, _)| self.subjects.contains(&name.as_str()));
        let figures = shown.flat_map(|(_, row)| {
            let shown = |(work, _): &(&String, &f64)| {
                self.works.iter().any(|one| one.to_string() == **work)
            };
            row.iter().filter(shown).map(|(_, figure)| *figure)
        });
        figures.fold(1.0, f64::max)
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::{Panel, svg};
    use crate::figures::Figures;
    use crate::work::Work;

    #[test]
    fn a_subject_without_figures_has_no_bar() {
        let mut figures = Figures::default();
        figures.record("ratio", "keycard-memory", Work::W1, 1.5);
        let panel = Panel {
            title: "Time",
            figures: &figures,
            table: "ratio",
            works: &[Work::W1],
            subjects: &["keycard-memory", "ruts-moka"],
            one: None,
            decimals: 2,
        };
        let plot = svg(&[panel]);
        assert!(plot.contains(">1.50</text>"));
        // Two for the legend and one for the bar.
        assert_eq!(plot.matches("<rect").count(), 3);
    }
}
