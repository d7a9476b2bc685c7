//! What natwatch may change, all of it: to be compared before and after whatever must change nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::lab::Lab;

/// Where the subnets are, and every file of natwatch's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    carriers: Vec<String>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Lab {
    /// The footprint as it is now.
    ///
    /// # Errors
    /// When EC2 or the state folder cannot be read; a folder that is not there yet holds nothing.
    pub fn footprint(&self) -> anyhow::Result<Footprint> {
        let carriers = (0..self.ids().subnets.len()).map(|subnet| self.carrier(subnet)).collect::<Result<_, _>>()?;
        let folder = self.plan().state().join("natwatch");
        let mut files = Vec::new();
        if folder.exists() {
            for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
                let path = entry?.path();
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                files.push((path, bytes));
            }
        }
        files.sort();
        Ok(Footprint { carriers, files })
    }
}
