//! Colour, where it is wanted.

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// The head of a table.
    Head,
    /// In order.
    Good,
    /// Works, with a reservation.
    Warning,
    /// Does not work.
    Bad,
    /// Of less interest.
    Dim,
    /// What to do next.
    Hint,
}

/// Paints, or leaves text as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// Paints if `is_on`.
    pub(crate) const fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    /// Whether it paints.
    pub(crate) const fn is_on(self) -> bool {
        self.is_on
    }

    /// `text` in the colour of its meaning.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => "",
            Style::Head => "1",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "1;31",
            Style::Dim => "2",
            Style::Hint => "36",
        };
        if self.is_on && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
