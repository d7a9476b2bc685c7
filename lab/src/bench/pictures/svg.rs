//! The little of SVG that the pictures need.

use std::fmt::Write as _;

/// Colours and letters. Grey `#6e7781` has a contrast of 4.5 against white and 4.2 against `#0d1117`; the others have three and more.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#6e7781}.head{font-weight:600}.ours{fill:#2f81f7}.others{fill:#bf7d00}\
.missed{fill:none;stroke:#e5534b;stroke-dasharray:3 3}.whisker{stroke:#6e7781;stroke-width:1.5}.grid{stroke:#6e7781;stroke-opacity:.3}\
.mark{stroke:#6e7781}.back{fill:#2da44e}.lost{fill:#e5534b}";

/// A picture that is being drawn; coordinates are pixels.
pub(super) struct Svg {
    body: String,
    width: f64,
    title: String,
}

impl Svg {
    pub(super) fn new(width: f64, title: &str) -> Self {
        Self { body: String::new(), width, title: title.to_owned() }
    }

    pub(super) fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4]) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            self.body,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        );
    }

    pub(super) fn line(&mut self, class: &str, [x, y]: [f64; 2], [to_x, to_y]: [f64; 2]) {
        let _ = writeln!(self.body, r#"<line class="{class}" x1="{x:.1}" y1="{y:.1}" x2="{to_x:.1}" y2="{to_y:.1}"/>"#);
    }

    /// `anchor`: `start`, `middle` or `end`; `class` may be empty.
    pub(super) fn text(&mut self, class: &str, anchor: &str, [x, y]: [f64; 2], text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        let _ = writeln!(
            self.body,
            r#"<text{class} text-anchor="{anchor}" x="{x:.1}" y="{y:.1}">{}</text>"#,
            escaped(text)
        );
    }

    pub(super) fn done(self, height: f64) -> String {
        let Self { body, width, title } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n{body}</svg>\n",
            escaped(&title)
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
