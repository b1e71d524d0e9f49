//! What an operation does while it runs: one line that is redrawn on a terminal, plain lines elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use boxwood_protocol::Event;
use boxwood_protocol::operation::Stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Screen;
use super::style::Style;
use super::table::one_line;

/// What is over sooner needs no progress; showing it would only flicker.
pub(crate) const PATIENCE: Duration = Duration::from_millis(150);

/// Lines of output that are repeated when an operation fails.
const LAST_LINES: usize = 20;

/// Shows the progress of one operation.
pub(crate) struct Progress {
    screen: Screen,
    bar: Option<ProgressBar>,
    step: String,
    place: String,
    message: String,
    last_lines: VecDeque<String>,
    are_lines_shown: bool,
}

impl Progress {
    /// Nothing is shown yet. `are_lines_wanted` when the output itself is what the person waits for.
    pub(crate) fn new(screen: Screen, are_lines_wanted: bool) -> Self {
        Self {
            screen,
            bar: None,
            step: String::new(),
            place: String::new(),
            message: "waiting for the daemon".to_owned(),
            last_lines: VecDeque::new(),
            are_lines_shown: screen.verbose > 0 || are_lines_wanted && !screen.is_progress_drawn,
        }
    }

    /// Takes in an event of the operation.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::OperationProgress { step, message, done, total, percent, .. } => {
                self.on_step(step, message, (*done, *total), *percent);
            }
            Event::OperationOutput { stream: Stream::Log, text, .. } => {
                for line in text.lines() {
                    self.on_line(line);
                }
            }
            _ => {}
        }
    }

    fn on_step(&mut self, step: &str, message: &str, (done, total): (u32, u32), percent: Option<u8>) {
        let message = one_line(message);
        if self.step != step {
            step.clone_into(&mut self.step);
            // What an earlier step said does not explain a later one's failure.
            self.last_lines.clear();
            if !self.screen.is_progress_drawn {
                self.screen.note(&format!("{message}…"));
            }
        }
        self.place = if total > 1 { format!("[{}/{total}] ", (done + 1).min(total)) } else { String::new() };
        self.message = percent.map_or(message.clone(), |percent| format!("{message} {percent} %"));
        self.draw();
    }

    /// Begins to draw. Called when the operation has taken long enough for a person to wonder.
    pub(crate) fn reveal(&mut self) {
        if self.screen.is_progress_drawn && self.bar.is_none() {
            self.bar = Some(new_bar(self.screen));
            self.draw();
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.place.clone());
            bar.set_message(self.message.clone());
        }
    }

    fn on_line(&mut self, line: &str) {
        let line = one_line(line.trim_end());
        if line.is_empty() {
            return;
        }
        if self.are_lines_shown {
            let shown = self.screen.messages.paint(Style::Dim, &format!("  {line}"));
            match &self.bar {
                Some(bar) => bar.suspend(|| self.screen.note(&shown)),
                None => self.screen.note(&shown),
            }
            return;
        }
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    /// Takes the progress off the screen. After a failure, repeats the last lines of output.
    pub(crate) fn finish(mut self, is_failure: bool) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if is_failure {
            for line in &self.last_lines {
                self.screen.note(&self.screen.messages.paint(Style::Dim, &format!("  {line}")));
            }
        }
    }
}

fn new_bar(screen: Screen) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let template = match screen.messages.is_on() {
        true => "{spinner:.cyan} {prefix:.dim}{wide_msg} {elapsed:.dim}",
        false => "{spinner} {prefix}{wide_msg} {elapsed}",
    };
    // The template is fixed; were it wrong, the default style would show the same in another order.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
