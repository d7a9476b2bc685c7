//! Marked places of documents, and what is put there. Pure.
//!
//! `<!-- bench:NAME:begin -->` and after it `<!-- bench:NAME:end -->`, each once in a document; a block of each name is written
//! wherever its marks are, so parts that are measured apart can be written apart.

/// The document with what is between the two marks of `name` replaced.
///
/// `Ok(None)` where it has none of the two; an error that says what is wrong where they are not there once, in order.
pub(super) fn replaced(document: &str, name: &str, block: &str) -> anyhow::Result<Option<String>> {
    let (begin, end) = (format!("<!-- bench:{name}:begin -->"), format!("<!-- bench:{name}:end -->"));
    if !document.contains(&begin) && !document.contains(&end) {
        return Ok(None);
    }
    let parts = document.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?)));
    match parts {
        Some((head, (old, tail)))
            if ![head, old, tail].iter().any(|part| part.contains(&begin) || part.contains(&end)) =>
        {
            Ok(Some(format!("{head}{begin}\n{}\n{end}{tail}", block.trim_end())))
        }
        _ => anyhow::bail!("not one `{begin}` and after it one `{end}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "a\n<!-- bench:runs:begin -->\nold\n<!-- bench:runs:end -->\nb\n";

    #[test]
    fn a_block_is_replaced_and_nothing_else() {
        let new = replaced(DOCUMENT, "runs", "new\n").unwrap().unwrap();
        assert_eq!(new, "a\n<!-- bench:runs:begin -->\nnew\n<!-- bench:runs:end -->\nb\n");
        assert_eq!(replaced(&new, "runs", "new").unwrap(), Some(new));
    }

    #[test]
    fn a_block_of_another_name_is_left_alone() {
        assert_eq!(replaced(DOCUMENT, "soak", "new").unwrap(), None);
        assert_eq!(replaced(DOCUMENT, "run", "new").unwrap(), None);
        let two = DOCUMENT.replace("runs", "soak") + DOCUMENT;
        let new = replaced(&two, "runs", "new").unwrap().unwrap();
        assert_eq!(new, DOCUMENT.replace("runs", "soak") + &DOCUMENT.replace("old", "new"));
    }

    #[test]
    fn marks_that_are_not_there_once_and_in_order_are_an_error() {
        let (begin, end) = ("<!-- bench:runs:begin -->", "<!-- bench:runs:end -->");
        let twice = format!("{DOCUMENT}{DOCUMENT}");
        let nested = format!("{begin}{begin}{end}");
        for broken in [begin, end, &format!("{end}{begin}"), &twice, &nested] {
            assert!(replaced(broken, "runs", "new").is_err(), "{broken}");
        }
    }
}
