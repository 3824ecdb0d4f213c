//! The house rules, checked by machine over the sources of the whole workspace.

use std::fs;
use std::path::{Path, PathBuf};

use remora_tests::sources::{Source, crates, sources, workspace};
use syn::visit::{self, Visit};

/// The modules of proxy-core, top floor first: a module imports only from the rows below its own.
const ROWS: &[&[&str]] = &[
    &["runtime"],
    &["admin", "stack"],
    &["plan"],
    &["acme"],
    &[
        "http",
        "tls",
        "net",
        "route",
        "transform",
        "resilience",
        "balance",
        "discovery",
        "kubernetes",
        "queue",
    ],
    &["config", "telemetry", "lifecycle"],
    &["body"],
    &["address", "fault", "files", "pattern"],
];

/// The row of [`ROWS`] that holds the components.
const COMPONENTS: usize = 4;

/// Imports within a row that are allowed all the same: from, to.
const SIBLINGS: &[(&str, &str)] = &[
    ("http", "net"),
    ("tls", "net"),
    ("http", "tls"),
    ("balance", "discovery"),
    ("discovery", "kubernetes"),
];

/// What a component never imports, though it stands below: `plan` fills the component's `Params`.
const NOT_FOR_COMPONENTS: &[&str] = &["config"];

/// The most lines that a production file may have, and that a function may have.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;

#[test]
fn imports_run_down_the_rows() {
    let root = workspace().join("proxy-core/src");
    let mut wrong = Vec::new();
    for source in sources(&root).iter().filter(|source| !source.is_test()) {
        let modules = source.modules(&root);
        let Some(from) = modules.first() else {
            continue;
        };
        if row(from).is_none() {
            wrong.push(format!(
                "{}: {from} is in no row of the table here",
                source.shown()
            ));
            continue;
        }
        for to in imports(&syntax(source), &modules) {
            if !allowed(from, &to) {
                wrong.push(format!("{}: {from} imports {to}", source.shown()));
            }
        }
    }
    report("imports that the rows do not allow", wrong);
}

#[test]
fn production_files_stay_short() {
    let long = |source: &Source| {
        let lines = production_lines(source);
        (lines > FILE_LINES).then(|| format!("{}: {lines} lines", source.shown()))
    };
    let all = sources(&workspace());
    let wrong = all
        .iter()
        .filter(|source| !source.is_test())
        .filter_map(long)
        .collect();
    report("files of more than 500 production lines", wrong);
}

#[test]
fn functions_stay_short() {
    let mut wrong = Vec::new();
    for source in sources(&workspace()) {
        for (name, lines) in long_functions(&syntax(&source)) {
            wrong.push(format!("{}: {name} has {lines} lines", source.shown()));
        }
    }
    report("functions of more than 60 lines", wrong);
}

#[test]
fn every_module_starts_with_its_contract() {
    let without = |source: &Source| {
        let first = source.text.lines().next().unwrap_or_default();
        let contract = first
            .strip_prefix("//! ")
            .is_some_and(|text| text.trim().len() > 10);
        (!contract).then(|| source.shown())
    };
    report(
        "files without a `//!` sentence first",
        workspace_sources(without),
    );
}

#[test]
fn maps_hold_no_code() {
    let coded = |source: &Source| {
        let name = source.path.file_name()?.to_str()?;
        let code = syntax(source).items.iter().any(|item| !is_of_a_map(item));
        (["mod.rs", "lib.rs"].contains(&name) && code).then(|| source.shown())
    };
    report(
        "maps with code beyond declarations and re-exports",
        workspace_sources(coded),
    );
}

#[test]
fn roles_never_import_each_other_and_the_library_knows_none() {
    let roles: Vec<(PathBuf, String)> = crates()
        .into_iter()
        .filter(|directory| directory.to_string_lossy().ends_with("-bin"))
        .map(|directory| {
            let name = package(&manifest(&directory));
            (directory, name)
        })
        .collect();
    assert!(!roles.is_empty(), "there is no role in the workspace");
    let mut wrong = Vec::new();
    let library = workspace().join("proxy-core");
    for directory in roles
        .iter()
        .map(|(directory, _)| directory)
        .chain([&library])
    {
        for (other, name) in roles.iter().filter(|(other, _)| other != directory) {
            if depends(&manifest(directory), other, name) {
                wrong.push(format!("{} depends on {name}", directory.display()));
            }
        }
    }
    report("crates that depend on a role", wrong);
}

fn workspace_sources(wrong: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    sources(&workspace()).iter().filter_map(wrong).collect()
}

/// A file as the compiler parses it.
fn syntax(source: &Source) -> syn::File {
    syn::parse_file(&source.text)
        .unwrap_or_else(|why| panic!("{} does not parse: {why}", source.shown()))
}

fn report(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    let (Some(upper), Some(lower)) = (row(from), row(to)) else {
        // What is no module of the table is an item of the crate's root, such as a re-export.
        return row(to).is_none();
    };
    let component = upper == COMPONENTS && NOT_FOR_COMPONENTS.contains(&to);
    let below = upper < lower && !component;
    from == to || below || SIBLINGS.contains(&(from, to))
}

/// The modules at the crate's root that a file names, in `use` or in the middle of code; what stands
/// under `#[cfg(test)]` is left out.
fn imports(syntax: &syn::File, modules: &[String]) -> Vec<String> {
    struct Paths<'a> {
        modules: &'a [String],
        depth: usize,
        found: Vec<String>,
    }

    impl Paths<'_> {
        fn take(&mut self, path: &[String]) {
            let supers = path.iter().take_while(|part| *part == "super").count();
            let to_root = self.modules.len() + self.depth;
            let next = match path.first().map(String::as_str) {
                Some("crate") => path.get(1),
                Some("super") if supers >= to_root => path.get(supers),
                _ => None,
            };
            self.found.extend(next.cloned());
        }
    }

    impl<'ast> Visit<'ast> for Paths<'_> {
        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            for path in flatten(&item.tree) {
                self.take(&path);
            }
        }

        fn visit_path(&mut self, path: &'ast syn::Path) {
            let parts: Vec<String> = path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            self.take(&parts);
            visit::visit_path(self, path);
        }

        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !is_for_tests(&module.attrs) {
                self.depth += 1;
                visit::visit_item_mod(self, module);
                self.depth -= 1;
            }
        }
    }

    let mut paths = Paths {
        modules,
        depth: 0,
        found: Vec::new(),
    };
    paths.visit_file(syntax);
    paths.found.sort();
    paths.found.dedup();
    paths.found
}

/// The full paths of a `use` tree.
fn flatten(tree: &syn::UseTree) -> Vec<Vec<String>> {
    match tree {
        syn::UseTree::Path(path) => {
            let mut below = flatten(&path.tree);
            below
                .iter_mut()
                .for_each(|rest| rest.insert(0, path.ident.to_string()));
            below
        }
        syn::UseTree::Group(group) => group.items.iter().flat_map(flatten).collect(),
        syn::UseTree::Name(name) => vec![vec![name.ident.to_string()]],
        syn::UseTree::Rename(rename) => vec![vec![rename.ident.to_string()]],
        syn::UseTree::Glob(_) => vec![Vec::new()],
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|name| name == "test")
    })
}

/// The lines of a file up to its inline tests.
fn production_lines(source: &Source) -> usize {
    let tests = syntax(source).items.iter().find_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_some() && is_for_tests(&module.attrs) => {
            Some(module.mod_token.span.start().line - 1)
        }
        _ => None,
    });
    tests.unwrap_or_else(|| source.text.lines().count())
}

/// The functions that are too long, with their lines from the signature to the closing brace.
fn long_functions(syntax: &syn::File) -> Vec<(String, usize)> {
    struct Functions(Vec<(String, usize)>);

    impl Functions {
        fn take(&mut self, signature: &syn::Signature, block: &syn::Block) {
            let lines = block.brace_token.span.close().end().line
                - signature.fn_token.span.start().line
                + 1;
            if lines > FUNCTION_LINES {
                self.0.push((signature.ident.to_string(), lines));
            }
        }
    }

    impl<'ast> Visit<'ast> for Functions {
        fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
            self.take(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }

        fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
            self.take(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }

        fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
            if let Some(block) = &function.default {
                self.take(&function.sig, block);
            }
            visit::visit_trait_item_fn(self, function);
        }
    }

    let mut functions = Functions(Vec::new());
    functions.visit_file(syntax);
    functions.0
}

/// Whether an item may stand in a map: a declaration of a module, or an import or re-export.
fn is_of_a_map(item: &syn::Item) -> bool {
    match item {
        syn::Item::Mod(module) => module.content.is_none(),
        syn::Item::Use(_) => true,
        _ => false,
    }
}

fn manifest(directory: &Path) -> String {
    fs::read_to_string(directory.join("Cargo.toml")).expect("a manifest")
}

/// The package's name in a manifest.
fn package(manifest: &str) -> String {
    let name = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = \""));
    name.and_then(|rest| rest.strip_suffix('"'))
        .expect("a package has a name")
        .to_owned()
}

/// Whether a manifest names the crate among its dependencies, by name or by path.
fn depends(manifest: &str, directory: &Path, name: &str) -> bool {
    let folder = directory
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let (_, dependencies) = manifest.split_once("dependencies]").unwrap_or_default();
    dependencies.lines().any(|line| {
        let key = line.split(['=', '.']).next().unwrap_or_default().trim();
        key == name || line.contains(&format!("\"../{folder}\""))
    })
}

#[cfg(test)]
mod the_checks_themselves {
    use super::*;

    fn parse(text: &str) -> syn::File {
        syn::parse_str(text).expect("a file")
    }

    #[test]
    fn find_imports_wherever_they_stand() {
        let file = parse(
            "use crate::{net::Stream, fault::{self, Fault}}; use super::super::config::Entry;
             fn f() { crate::plan::g() } mod inner { use super::super::super::stack::X; }
             #[cfg(test)] mod tests { use crate::runtime; }",
        );
        let modules = ["http".to_owned(), "server".to_owned()];
        assert_eq!(
            imports(&file, &modules),
            ["config", "fault", "net", "plan", "stack"]
        );
    }

    #[test]
    fn know_the_rows() {
        for (from, to) in [
            ("runtime", "plan"),
            ("http", "net"),
            ("plan", "config"),
            ("net", "fault"),
        ] {
            assert!(allowed(from, to), "{from} -> {to}");
        }
        for (from, to) in [
            ("plan", "stack"),
            ("net", "http"),
            ("http", "config"),
            ("fault", "body"),
        ] {
            assert!(!allowed(from, to), "{from} -> {to}");
        }
    }

    #[test]
    fn measure_functions() {
        let body = "let _ = 1;\n".repeat(FUNCTION_LINES - 2);
        assert!(long_functions(&parse(&format!("fn short() {{\n{body}}}"))).is_empty());
        let long = parse(&format!("impl A {{ fn long() {{\n{body}\n}} }}"));
        assert_eq!(
            long_functions(&long),
            [("long".to_owned(), FUNCTION_LINES + 1)]
        );
    }

    #[test]
    fn read_manifests() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n";
        assert_eq!(package(text), "a");
        assert!(depends(text, Path::new("b-bin"), "b"));
        assert!(!depends(text, Path::new("c-bin"), "c"));
    }
}
