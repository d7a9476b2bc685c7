//! Lines of words with an emphasis: put in columns, cut or folded to a width, and only then painted, since what paints them takes no room.

use std::fmt::Write as _;

use super::{Paint, Style};

/// One line: its words or cells, each with its emphasis, one after the other.
pub(super) type Line = Vec<(String, Paint)>;

/// A line without emphasis.
pub(super) fn plain(text: impl Into<String>) -> Line {
    vec![(text.into(), Paint::Plain)]
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Rows in aligned columns, each line indented by two blanks; the last column is not padded.
pub(super) fn columns(style: Style, rows: &[Line]) -> String {
    let mut out = String::new();
    for line in aligned(rows).into_iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(out, "{}", painted(&line, style));
    }
    out
}

/// The same as lines, one for each row; an empty row is an empty line.
pub(super) fn aligned(rows: &[Line]) -> Vec<Line> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| width(&cell.0)).max();
    let widths: Vec<usize> = (0..count).map(|n| widest(n).unwrap_or_default()).collect();
    let align = |row: &Line| {
        let mut line = Line::new();
        // Blanks are owed, not written, until something follows: no line ends in blanks.
        let mut owed = 2;
        for ((text, paint), width) in row.iter().zip(&widths) {
            if !text.is_empty() {
                line.extend([(" ".repeat(owed), Paint::Plain), (text.clone(), *paint)]);
                owed = 0;
            }
            owed += width.saturating_sub(self::width(text)) + 2;
        }
        line
    };
    rows.iter().map(align).collect()
}

/// What of a line fits into `width` characters; that there was more is marked, by one of them.
pub(super) fn cut(line: Line, width: usize, style: Style) -> Line {
    // What has no place in the locale becomes longer.
    let line: Line = line.into_iter().map(|(text, paint)| (style.finish(text), paint)).collect();
    if line.iter().map(|(text, _)| self::width(text)).sum::<usize>() <= width {
        return line;
    }
    let mut left = width.saturating_sub(1);
    let mut out = Line::new();
    for (text, paint) in line {
        let kept: String = text.chars().take(left).collect();
        left -= self::width(&kept);
        if !kept.is_empty() {
            out.push((kept, paint));
        }
    }
    out.push((if style.ascii { "~" } else { "…" }.to_owned(), Paint::Plain));
    out
}

/// A line folded between words where it is longer than `width`; what follows the first line is indented by `indent`. A word that is
/// longer than a line is broken.
pub(super) fn folded(line: Line, width: usize, indent: usize) -> Vec<Line> {
    let width = width.max(indent + 1);
    let mut out = vec![Line::new()];
    let mut used = 0;
    for (text, paint) in line {
        for word in text.split_inclusive(' ') {
            if used > 0 && used + self::width(word.trim_end()) > width {
                begin(&mut out, indent);
                used = indent;
            }
            let mut word: Vec<char> = word.chars().collect();
            while !word.is_empty() {
                if used >= width && word.iter().any(|c| *c != ' ') {
                    begin(&mut out, indent);
                    used = indent;
                }
                let rest = word.split_off(word.len().min(width.saturating_sub(used).max(1)));
                used += word.len();
                if let Some(last) = out.last_mut() {
                    last.push((word.into_iter().collect(), paint));
                }
                word = rest;
            }
        }
    }
    out
}

/// Begins another line; the one before does not end in blanks.
fn begin(lines: &mut Vec<Line>, indent: usize) {
    if let Some((text, _)) = lines.last_mut().and_then(|line| line.last_mut()) {
        text.truncate(text.trim_end().len());
    }
    lines.push(if indent == 0 { Line::new() } else { plain(" ".repeat(indent)) });
}

/// A line as it is written, without its end.
pub(super) fn painted(line: &Line, style: Style) -> String {
    line.iter().map(|(text, paint)| style.paint(*paint, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| painted(line, Style::PLAIN)).collect()
    }

    #[test]
    fn what_does_not_fit_is_cut_and_marked_and_what_fits_is_not() {
        let line = || vec![("abc".to_owned(), Paint::Red), ("def".to_owned(), Paint::Plain)];
        assert_eq!(text(&[cut(line(), 6, Style::PLAIN)]), ["abcdef"]);
        assert_eq!(text(&[cut(line(), 5, Style::PLAIN)]), ["abcd~"]);
        assert_eq!(text(&[cut(line(), 1, Style::PLAIN)]), ["~"]);
        let colour = Style { colour: true, ascii: false, ..Style::PLAIN };
        assert_eq!(painted(&cut(line(), 3, colour), colour), "\x1b[31mab\x1b[0m…");
        assert_eq!(text(&[cut(plain("büro"), 8, Style::PLAIN)]), ["b\\u{fc}~"]);
    }

    #[test]
    fn long_lines_are_folded_between_words_and_long_words_within() {
        let fold = |line: &str, width| text(&folded(plain(line), width, 2));
        assert_eq!(fold("one two three", 40), ["one two three"]);
        assert_eq!(fold("one two three", 7), ["one two", "  three"]);
        assert_eq!(fold("abcdefghij", 4), ["abcd", "  ef", "  gh", "  ij"]);
        for width in 0..20 {
            let lines = fold("a bb ccc dddd eeeee ffffff, ggggggg", width);
            let long = lines.iter().filter(|line| line.trim_end().chars().count() > width.max(3)).count();
            assert_eq!(long, 0, "{width}: {lines:?}");
            let words: String = lines.iter().flat_map(|line| line.chars()).filter(|c| *c != ' ').collect();
            assert_eq!(words, "abbcccddddeeeeeffffff,ggggggg", "{width}");
        }
    }

    #[test]
    fn what_is_folded_keeps_its_emphasis() {
        let line = vec![("down".to_owned(), Paint::Red), (": because of this".to_owned(), Paint::Plain)];
        let colour = Style { colour: true, ..Style::PLAIN };
        let lines: Vec<String> = folded(line, 9, 0).iter().map(|line| painted(line, colour)).collect();
        assert_eq!(lines, ["\x1b[31mdown\x1b[0m:", "because", "of this"]);
    }
}
