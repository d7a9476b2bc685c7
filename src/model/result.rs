//! What the result of a move means to whoever goes by it: settled, moved, or not known.

use super::MoveResult;

impl MoveResult {
    /// Whether there is nothing left to do for this subnet.
    #[must_use]
    pub const fn settled(&self) -> bool {
        matches!(self, Self::Moved | Self::AlreadyThere | Self::Elsewhere(_) | Self::WouldMove)
    }

    /// Whether it is, or may be, where it is to be: what a lock must not forget.
    #[must_use]
    pub const fn perhaps_moved(&self) -> bool {
        self.moved() || matches!(self, Self::Unknown(_))
    }

    /// Whether it may be where it is to be for all that a record says: a call may be under way, or may have been when whoever wrote it was
    /// killed.
    #[must_use]
    pub const fn sent(&self) -> bool {
        self.perhaps_moved() || matches!(self, Self::Pending)
    }

    /// Whether it is where it is to be.
    #[must_use]
    pub const fn moved(&self) -> bool {
        matches!(self, Self::Moved | Self::AlreadyThere)
    }

    /// The word that machines read.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Moved => "moved",
            Self::AlreadyThere => "already-there",
            Self::Elsewhere(_) => "elsewhere",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::WouldMove => "would-move",
        }
    }
}
