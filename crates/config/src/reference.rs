//! The reference page.

use std::fmt::Write as _;

use crate::setting::{Effect, Section, Setting, settings};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the declarations in crates/config: cargo run -p podbay-config --example reference -->

A value is taken from the strongest source that has one:

1. command-line flags,
2. the environment, by the names listed with each setting, the stronger first,
3. the configuration file,
4. the default.

The file is TOML: the one named on the command line or by `PODBAY_CONFIG`, else
`$XDG_CONFIG_HOME/podbay/config.toml` (`~/.config/podbay/config.toml`). The `config.toml` of OpenHands can be
named as it is: its other sections are ignored, and what has no effect here is warned of.

```toml
[kubernetes]
namespace = \"agents\"
resource_memory_limit = \"4Gi\"

[podbay]
unschedulable_grace_seconds = 300 # an autoscaler adds nodes
```

Unknown keys in `[kubernetes]`, `[sandbox]`, `[podbay]` and `[serve]` are errors; unknown variables that begin with `PODBAY_` or
`OH_K8S_` are warned of, apart from what Kubernetes sets for Services, and so are unknown keys in `[agent]`, a section that
OpenHands has too. Empty variables are ignored. Of two
variables of one setting with different values the stronger holds, with a warning. Variables without a prefix, such
as `DEBUG`, may be meant for another program: what cannot be read is ignored with a warning. `KUBECONFIG` is no
setting: it is read as kubectl reads it.

Settings with \"No effect\" are accepted, so that a file of OpenHands loads, and warned of when they are set.

Every setting in one file to copy from: [podbay.example.toml](podbay.example.toml). For editors there is a JSON
Schema: [podbay.schema.json](podbay.schema.json).
";

/// The page `docs/configuration.md`: every setting with type, unit, default, environment names, what it accepts and
/// what it does.
pub fn reference_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = None;
    for setting in settings() {
        if section != Some(setting.section) {
            section = Some(setting.section);
            page.push_str(match setting.section {
                Section::TopLevel => "\n## Top level, or `[core]`\n",
                Section::Kubernetes => "\n## `[kubernetes]`\n",
                Section::Sandbox => "\n## `[sandbox]`\n",
                Section::Podbay => "\n## `[podbay]`\n",
                Section::Agent => "\n## `[agent]`\n",
                Section::Serve => "\n## `[serve]`\n",
            });
        }
        entry(&mut page, setting);
    }
    page
}

fn entry(page: &mut String, setting: &Setting) {
    let Setting {
        section: _,
        name: _,
        key,
        type_name,
        unit,
        default,
        allowed,
        environment,
        secret,
        doc,
        effect,
        default_json: _,
        schema: _,
        faults: _,
    } = setting;
    let unit = unit.map(|unit| format!(" ({unit})")).unwrap_or_default();
    let secret = if *secret { ", secret" } else { "" };
    let default = default
        .as_ref()
        .map_or_else(|| "not set".to_owned(), |default| format!("`{default}`"));
    let names = environment
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n### `{key}`\n\n{doc}\n\n\
         - Type: {type_name}{unit}{secret}\n- Default: {default}\n- Allowed: {allowed}\n- Environment: {names}\n"
    );
    if let Effect::Ignored(reason) = effect {
        let _ = writeln!(page, "- No effect: {reason}");
    }
}
