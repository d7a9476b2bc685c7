//! Pictures of what was measured, as SVG: text, so that they are drawn without a library and can be compared. Pure.
//!
//! Read on light and on dark pages: no background, and only colours that have a contrast of three and more against both white and
//! nearly black. Nothing is told by colour alone.

mod outage;
mod svg;
mod takeover;

use super::outages::Data;

/// Each with its file name.
pub(super) fn all(data: &Data) -> Vec<(&'static str, String)> {
    let mut pictures = vec![("outage.svg", outage::draw(data))];
    pictures.extend(data.takeover.as_ref().map(|takeover| ("takeover.svg", takeover::draw(takeover))));
    pictures
}

#[cfg(test)]
mod tests {
    use super::super::outages::{Flow, Mark, Measured, Runs, Takeover};
    use super::*;

    fn data() -> Data {
        let runs = |outages: &[u64], missed| Runs { outages: outages.to_vec(), missed, astray: 0 };
        Data {
            measured: "Measured.".to_owned(),
            limit: 15_000,
            faults: vec!["crashed & gone".to_owned(), "uplink dead".to_owned()],
            tools: vec![
                Measured {
                    tool: "natwatch watch".to_owned(),
                    ours: true,
                    faults: vec![runs(&[1200, 1300, 1600], 0), runs(&[1000], 0)],
                },
                Measured {
                    tool: "keepalived".to_owned(),
                    ours: false,
                    faults: vec![runs(&[4600, 5600], 1), runs(&[], 3)],
                },
            ],
            takeover: Some(Takeover {
                outage: 1300,
                subnets: vec![Flow { back: vec![-20, 0, 1320], lost: vec![20, 40] }; 2],
                marks: vec![Mark { at: 0, what: "fault".to_owned() }, Mark { at: 1300, what: "restored".to_owned() }],
            }),
        }
    }

    #[test]
    fn every_picture_is_well_formed_and_says_what_it_shows() {
        for (name, picture) in all(&data()) {
            let document = roxmltree::Document::parse(&picture).unwrap_or_else(|error| panic!("{name}: {error}"));
            let root = document.root_element();
            assert_eq!(root.tag_name().name(), "svg");
            let title = root.children().find(|one| one.has_tag_name(("http://www.w3.org/2000/svg", "title")));
            assert!(title.and_then(|one| one.text()).is_some_and(|text| !text.is_empty()), "{name}");
        }
    }

    #[test]
    fn missed_outages_are_marked_and_measured_ones_have_their_figures() {
        let picture = outage::draw(&data());
        let document = roxmltree::Document::parse(&picture).unwrap();
        let texts: Vec<_> = document.descendants().filter_map(|one| one.text()).collect();
        for wanted in [
            "crashed & gone",
            "1.30 s, worst 1.60",
            "5.10 s, worst 5.60; 1 of 3 missed",
            "missed: still out after 15 s",
        ] {
            assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
        }
    }

    #[test]
    fn a_bar_is_as_long_as_the_median_and_its_whisker_as_the_worst() {
        let picture = outage::draw(&data());
        let document = roxmltree::Document::parse(&picture).unwrap();
        let width = |class: &str, n: usize| -> f64 {
            let mut all = document.descendants().filter(|one| one.attribute("class") == Some(class));
            all.nth(n).unwrap().attribute("width").unwrap().parse().unwrap()
        };
        assert!((width("ours", 0) / width("others", 0) - 1.3 / 5.1).abs() < 0.01);
        assert!(width("missed", 0) > width("others", 0));
    }

    #[test]
    fn the_pictures_in_the_documents_are_of_the_data_beside_them() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let read =
            |name: &str| std::fs::read_to_string(docs.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let pictures = all(&serde_json::from_str(&read("bench/outages.json")).unwrap());
        assert_eq!(pictures.len(), 2);
        for (name, picture) in pictures {
            assert!(read(name) == picture, "docs/{name} is behind: lab bench --pictures --docs docs");
        }
    }

    #[test]
    fn every_datagram_of_a_takeover_is_drawn() {
        let picture = takeover::draw(data().takeover.as_ref().unwrap());
        let document = roxmltree::Document::parse(&picture).unwrap();
        let count = |class: &str| document.descendants().filter(|one| one.attribute("class") == Some(class)).count();
        assert_eq!((count("back"), count("lost")), (6, 4));
    }
}
