//! Where the parts of the bench are told and written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::blocks::replaced;
use super::outages::Data;
use super::{pictures, say};

/// Documents with marks, and the folder of data and pictures.
pub(super) struct Pages {
    documents: Vec<PathBuf>,
    docs: Option<PathBuf>,
}

impl Pages {
    /// Fails unless each document can be read, its marks are in order, and each block is wanted by one of them.
    pub(super) fn find(documents: &[PathBuf], docs: Option<&Path>, blocks: &[&str]) -> anyhow::Result<Self> {
        let pages = Self { documents: documents.to_vec(), docs: docs.map(Path::to_owned) };
        for name in blocks {
            let wanted = pages.with(name, "")?.len();
            anyhow::ensure!(documents.is_empty() || wanted > 0, "no file has `<!-- bench:{name}:begin -->`");
        }
        Ok(pages)
    }

    /// The documents that have that block, with it in place.
    fn with(&self, name: &str, block: &str) -> anyhow::Result<Vec<(&Path, String)>> {
        let mut all = Vec::new();
        for path in &self.documents {
            let document = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            let new = replaced(&document, name, block).with_context(|| format!("in {}", path.display()))?;
            all.extend(new.map(|new| (path.as_path(), new)));
        }
        Ok(all)
    }

    /// Tells a block, and writes it wherever its marks are.
    pub(super) fn put(&self, name: &str, block: &str) -> anyhow::Result<()> {
        say(&format!("{block}\n"));
        for (path, new) in self.with(name, block)? {
            fs::write(path, new).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    /// Keeps the data of outages, and draws them.
    pub(super) fn keep(&self, data: &Data) -> anyhow::Result<()> {
        let Some(docs) = &self.docs else { return Ok(()) };
        let path = file(docs);
        fs::create_dir_all(path.parent().unwrap_or(docs))
            .with_context(|| format!("make a folder for {}", path.display()))?;
        fs::write(&path, serde_json::to_string(data)? + "\n").with_context(|| format!("write {}", path.display()))?;
        self.draw()
    }

    /// Draws the pictures from the data that is there.
    pub(super) fn draw(&self) -> anyhow::Result<()> {
        let docs = self.docs.as_ref().context("no folder for pictures")?;
        let path = file(docs);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let data = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        for (name, picture) in pictures::all(&data) {
            fs::write(docs.join(name), picture).with_context(|| format!("write {name}"))?;
        }
        Ok(())
    }
}

/// Where the data of outages is kept.
fn file(docs: &Path) -> PathBuf {
    docs.join("bench/outages.json")
}
