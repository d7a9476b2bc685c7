//! How people call what a case is about. Nothing is decided by it.

use super::Case;
use crate::model::Names;

impl Case {
    /// The `Name` tags of whatever EC2 told this pass of, or an earlier one.
    #[must_use]
    pub fn names(&self) -> Names {
        let mut names = Names::new();
        if let Some(guarded) = &self.guarded {
            names.learn_guarded(guarded);
        }
        if let Some(survey) = &self.survey {
            names.learn_survey(survey);
        }
        names.learn_moves(self.moves.iter().flatten());
        names
    }
}
