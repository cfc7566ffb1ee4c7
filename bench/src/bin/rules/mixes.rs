//! Rules as operators have them.

use std::fmt::Write as _;

/// Rules of an operator with many tenants, numbers and carriers, and one for the rest.
pub(crate) fn mixed(rules: u32) -> String {
    let mut text = String::new();
    for number in 0..rules.saturating_sub(1) {
        let matching = match number % 8 {
            0 => format!("domain = 'tenant-{number}.example.com'"),
            1 => format!("method = 'INVITE', user = '{number}'"),
            2 => format!("user = {{ prefix = '+49{number:05}' }}, zone = 'trunk'"),
            3 => format!("source = '10.{}.{}.0/24', listener = 'carriers'", number / 256, number % 256),
            4 => format!("from = '{number}@tenant-{number}.example.com'"),
            5 => format!("header = {{ X-Trunk = 'trunk-{number}' }}, method = ['INVITE', 'MESSAGE']"),
            6 if number < 4096 => format!("user = {{ regex = '^00{number}$' }}"),
            6 => format!("domain = '*.sub-{number}.example.com', registered = true"),
            _ => format!(
                "user = 'user-{number}', time = {{ zone = 'Europe/Berlin', days = 'mon-fri', inside = '08:00-18:00' }}"
            ),
        };
        rule(&mut text, number, &matching, TO_POOL);
    }
    text + REST
}

/// The same, behind fifty rules that every request must pass: canaries, hours, regions, marks on what is suspicious.
pub(crate) fn crowded(rules: u32) -> String {
    let mut text = String::new();
    for number in 0..50 {
        let matching = match number % 5 {
            0 => "method = 'REGISTER', zone = 'public'".to_owned(),
            1 => format!("percentage = 0.{:02}, transport = ['ws', 'wss']", 50 + number),
            2 => format!("region = 'us-{number}'"),
            3 => format!(
                "time = {{ zone = 'America/New_York', days = 'sat-sun', inside = '0{}:00-2{}:30' }}",
                number % 9,
                number % 3
            ),
            _ => "listener = 'browsers', registered = false".to_owned(),
        };
        // None of them decides, so none takes all from another.
        rule(&mut text, 1_000_000 + number, &matching, "tag = 'seen'\nnext = true");
    }
    text + &mixed(rules.saturating_sub(50).max(1))
}

/// A dial plan of regexes: some with beginnings in common, some with none.
pub(crate) fn regexes(regexes: u32) -> String {
    let mut text = String::new();
    for number in 0..regexes {
        let matching = match number % 10 {
            0..5 => format!("user = {{ regex = '^(?:00|\\+){}(\\d{{2,12}})$' }}", 10 + number * 7),
            5 | 6 => format!("user = {{ regex = '^0*{number}[1-9]\\d{{0,3}}$' }}"),
            7 => format!("from = {{ regex = '^{number}\\d*@tenant-\\d+' }}"),
            8 => format!("user = {{ regex = '-{number}$' }}"),
            _ => format!("header = {{ X-Trunk = {{ regex = 'trunk-{number}$' }} }}"),
        };
        rule(&mut text, number, &matching, TO_POOL);
    }
    text + REST
}

const TO_POOL: &str = "route = { pool = 'freeswitch' }";
const REST: &str = "[[rule]]\nname = 'rest'\nreject = { status = 404 }\n";

fn rule(text: &mut String, number: u32, matching: &str, action: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "[[rule]]\nname = 'rule {number}'\nmatch = {{ {matching} }}\n{action}");
}

/// A rule with a file of prefixes, and one for the rest.
pub(crate) fn prefixed(_: u32) -> String {
    PREFIXED.to_owned()
}

const PREFIXED: &str = "
[[rule]]
name = 'premium'
match = { user = { prefixes = 'prefixes.csv' } }
reject = { status = 403 }
[[rule]]
name = 'rest'
route = { pool = 'carrier-a' }
";

/// Numbers of nine digits, none the beginning of another, all over the world.
pub(crate) fn csv(prefixes: u32) -> String {
    let step = 800_000_000 / prefixes;
    let mut text = String::with_capacity(prefixes as usize * 20);
    for number in 0..prefixes {
        let _ = writeln!(text, "+{},zone {}", 100_000_000 + number * step, number % 50);
    }
    text
}
