//! The person's browser, where there is one that the person looks at.

use crate::output::Screen;
use crate::settings::Environment;

/// Whether a browser that this process opens would be seen by whoever sits here.
pub(super) fn is_at_hand(screen: Screen, environment: Environment<'_>) -> bool {
    let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
    // Over SSH it would open on the machine at the other end.
    let is_remote = ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"].into_iter().any(is_set);
    let has_windows = !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"].into_iter().any(is_set);
    screen.is_interactive && !screen.is_unattended && !screen.json && !is_remote && has_windows
}

/// Opens an address. False when there is nothing that opens it.
pub(super) fn open(url: &str) -> bool {
    open::that_detached(url).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::GlobalArguments;

    #[test]
    fn a_browser_is_opened_only_where_the_person_is() {
        let screen = Screen {
            is_interactive: true,
            is_unattended: false,
            ..Screen::new(&GlobalArguments::default(), &|_| None)
        };
        let check = |screen: Screen, variables: &[&str]| {
            is_at_hand(screen, &|name| variables.contains(&name).then(|| "1".to_owned()))
        };
        assert!(check(screen, &["DISPLAY"]) && check(screen, &["WAYLAND_DISPLAY"]));
        assert_eq!(check(screen, &[]), !cfg!(target_os = "linux"));
        for remote in ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"] {
            assert!(!check(screen, &["DISPLAY", remote]), "{remote}");
        }
        assert!(!check(Screen { is_interactive: false, ..screen }, &["DISPLAY"]));
        assert!(!check(Screen { is_unattended: true, ..screen }, &["DISPLAY"]));
        assert!(!check(Screen { json: true, ..screen }, &["DISPLAY"]));
    }
}
