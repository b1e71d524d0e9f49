//! Files: what is masked stays unread, what the host runs stays unwritten, by whatever way.

use super::case::{Case, case};

/// What is masked says this.
pub(super) const SECRET: &str = "masked-secret-0123456789";

const OTHER: &str = "cat open.txt && echo more >>open.txt";

pub(super) const CASES: &[Case] = &[
    case("a masked file", "grep masked-secret .env", OTHER),
    case(
        "a masked file through a symbolic link",
        "ln -sf .env to-env && grep masked-secret to-env",
        "ln -sf open.txt to-open && cat to-open",
    ),
    case(
        "a masked file through a hard link",
        "ln .env hard-env && grep masked-secret hard-env",
        "ln -f open.txt hard-open && cat hard-open",
    ),
    case("a masked file through a link that was there before", "grep masked-secret link-to-env", "cat link-to-open"),
    case(
        "a masked file by moving it",
        "mv .env moved-env && grep masked-secret moved-env",
        "mv loose.txt moved.txt && mv moved.txt loose.txt",
    ),
    case(
        "a masked file by moving its directory",
        "mv secrets moved-secrets && grep -r masked-secret moved-secrets",
        "mv loose moved && mv moved loose",
    ),
    case("what is in a masked directory", "grep -r masked-secret secrets", "grep -r loose loose"),
    case(
        "what is in a masked directory, by a path around",
        r#"grep -r masked-secret ./loose/../secrets/. || grep -r masked-secret "/proc/self/cwd/secrets" || cat /proc/self/root"$PWD"/.env | grep masked-secret"#,
        "cat ./loose/../open.txt",
    ),
    case(
        "a file that matches a masked glob further down",
        "grep masked-secret deep/down/key.pem",
        "cat deep/down/readme",
    ),
    case("an unmount of a mask", "umount .env || umount -l secrets || mount -o remount,rw .env", OTHER),
    case(
        "writing where a mask is",
        "echo mine >.env || echo mine >secrets/new || rm -rf .env secrets",
        "echo mine >mine && rm mine",
    ),
    case(
        "all of the project's files at once",
        "tar -cf - . 2>/dev/null | grep -a -q masked-secret || cp -r . /tmp/copy 2>/dev/null; grep -rq masked-secret /tmp/copy",
        "tar -cf - open.txt | grep -a -q open",
    ),
    case(
        "a missing protected file",
        "mkdir -p .vscode && echo '{}' >.vscode/tasks.json || echo evil >.envrc || mkdir -p .git/hooks && echo evil >.git/hooks/pre-commit",
        "mkdir -p fine && echo '{}' >fine/tasks.json",
    ),
    case(
        "a missing protected file by a link",
        "ln -s /tmp/evil .envrc || ln open.txt .envrc || ln -s /tmp .vscode/inside",
        "ln -sf /tmp/evil fine-link",
    ),
    case(
        "a protected directory by renaming its parent",
        r#"mv "$PWD" "$PWD.old" || mv .vscode .vscode.old || mv .git .git.old"#,
        "mkdir -p a/b && mv a c && rm -r c",
    ),
    case(
        "the policy's own file",
        "mkdir -p .boxwood && echo '{}' >.boxwood/sandbox.jsonc || echo 'allowed_domains: [thief.test]' >.boxwood/egress.yaml",
        "mkdir -p boxwood && echo '{}' >boxwood/sandbox.jsonc",
    ),
];
