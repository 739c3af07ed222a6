//! The structure of the library, as ARCHITECTURE.md draws it: imports point one way, and no two files import each other, by no
//! way around. Unit tests may look wherever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::Visit;
use syn::{Attribute, Ident, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// What stands in `src/`, from the leaves up: each may import what stands before it. The empty name is `lib.rs`.
const ORDER: &[&str] = &[
    "named_enum",
    "base64url",
    "digest",
    "random",
    "clock",
    "sync",
    "client",
    "record",
    "config",
    "cookie",
    "store",
    "error",
    "monitor",
    "event",
    "lifecycle",
    "session",
    "middleware",
    "fuzzing",
    "",
];

type ModulePath = Vec<String>;

/// A source file, and what it names.
#[derive(Default)]
struct Source {
    /// The module that an inline module stands in, while it is read.
    module: ModulePath,
    /// Absolute paths that its code or a `use` names.
    imports: BTreeSet<ModulePath>,
    /// Names that it passes on, with where they come from.
    exports: BTreeMap<String, ModulePath>,
    /// Names that are in scope, with where they come from.
    scope: BTreeMap<String, ModulePath>,
    /// Paths that its code names, as they are written.
    written: BTreeSet<ModulePath>,
}

impl Source {
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let relative = path.strip_prefix(&["self".to_owned()]).unwrap_or(path);
        let supers = relative.iter().take_while(|part| *part == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" | "super" => {
                let parent = &self.module[..self.module.len() - supers];
                Some([parent, &relative[supers..]].concat())
            }
            _ => None,
        }
    }

    fn read_use(&mut self, tree: &UseTree, before: &[String], exports: bool) {
        let with = |name: &Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.read_use(&path.tree, &with(&path.ident), exports),
            UseTree::Group(group) => {
                let items = group.items.iter();
                return items.for_each(|item| self.read_use(item, before, exports));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().unwrap().clone())
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
            UseTree::Glob(_) => panic!("{before:?}: a glob hides what is imported"),
        };
        let Some(path) = self.absolute(&path) else {
            return;
        };
        self.scope.insert(name.clone(), path.clone());
        if exports {
            self.exports.insert(name, path);
        } else {
            self.imports.insert(path);
        }
    }

    /// Finds out what the written paths lead to, once everything in scope is known.
    fn resolve(&mut self) {
        for path in std::mem::take(&mut self.written) {
            let in_scope = |name: &String| self.scope.get(name).cloned();
            let named = in_scope(&path[0]).map(|from| [&from, &path[1..]].concat());
            self.imports.extend(self.absolute(&path).or(named));
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let cfg = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes.iter().map(cfg).any(|cfg| cfg == "test")
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let exports = !matches!(item.vis, Visibility::Inherited);
        self.read_use(&item.tree, &[], exports);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        let module = [self.module.as_slice(), std::slice::from_ref(&name)].concat();
        if is_test(&item.attrs) {
            return;
        }
        if item.content.is_none() {
            self.scope.insert(name, module);
            return;
        }
        let outer = std::mem::replace(&mut self.module, module);
        syn::visit::visit_item_mod(self, item);
        self.resolve();
        self.module = outer;
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter().map(|part| part.ident.to_string());
        self.written.insert(parts.collect());
        syn::visit::visit_path(self, path);
    }

    /// What stands within a macro is not parsed, but its paths are seen.
    fn visit_macro(&mut self, call: &'ast Macro) {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let text = call.tokens.to_string().replace("\\\"", "");
        // Every other piece between quotes is a string: a doc comment, mostly.
        let code: String = text.split('"').step_by(2).collect();
        let code = code.replace(" :: ", "::");
        let paths = code
            .split(|c| !is_path(c))
            .filter(|path| path.contains("::"));
        for path in paths.map(|path| path.trim_start_matches(':')) {
            self.written
                .insert(path.split("::").map(str::to_owned).collect());
        }
        self.visit_path(&call.path);
    }
}

fn sources() -> BTreeMap<ModulePath, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module_of(path.strip_prefix(&root).unwrap());
                if module.iter().any(|name| name == "tests") {
                    continue;
                }
                let mut source = Source {
                    module: module.clone(),
                    ..Source::default()
                };
                source.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
                source.resolve();
                sources.insert(module, source);
            }
        }
    }
    sources
}

fn module_of(path: &Path) -> ModulePath {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    let mut module: ModulePath = parts.collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// The module that a path leads to, through all that only pass it on.
fn file_of(path: &[String], sources: &BTreeMap<ModulePath, Source>) -> ModulePath {
    let lens = (0..=path.len()).rev();
    let len = lens
        .into_iter()
        .find(|len| sources.contains_key(&path[..*len]));
    let (module, rest) = path.split_at(len.unwrap());
    match rest
        .first()
        .and_then(|name| sources[module].exports.get(name))
    {
        Some(exported) => file_of(exported, sources),
        None => module.to_vec(),
    }
}

type Edges = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

/// Which files each file imports; and those that it only passes on, if `exports` count.
fn edges(exports: bool) -> Edges {
    let sources = sources();
    let edges = sources.iter().map(|(module, source)| {
        let passed_on = source.exports.values().filter(|_| exports);
        let imports = source.imports.iter().chain(passed_on);
        let files = imports.map(|path| file_of(path, &sources));
        (
            module.clone(),
            files.filter(|file| file != module).collect(),
        )
    });
    edges.collect()
}

#[test]
fn imports_point_one_way() {
    let place = |module: &ModulePath| {
        let first = module.first().map_or("", String::as_str);
        let place = ORDER.iter().position(|name| *name == first);
        place.unwrap_or_else(|| panic!("`{first}` has no place in the order"))
    };
    for (module, imports) in edges(true) {
        for import in imports {
            assert!(
                place(&import) <= place(&module),
                "{module:?} imports {import:?}"
            );
        }
    }
}

/// Leaves what is in a circle, or between two: a file that imports nothing is in none, nor is one that nothing imports.
fn circles(mut edges: Edges) -> Edges {
    loop {
        let before = edges.len();
        let imported: BTreeSet<_> = edges.values().flatten().cloned().collect();
        edges.retain(|file, imports| !imports.is_empty() && imported.contains(file));
        let left: BTreeSet<_> = edges.keys().cloned().collect();
        for imports in edges.values_mut() {
            imports.retain(|import| left.contains(import));
        }
        if edges.len() == before {
            return edges;
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(edges(false));
    let named = |module: &ModulePath| module.join("::");
    let lines = circles.iter().map(|(file, imports)| {
        let imports: Vec<_> = imports.iter().map(named).collect();
        format!("{} imports {}", named(file), imports.join(", "))
    });
    let lines: Vec<_> = lines.collect();
    assert!(lines.is_empty(), "in a circle:\n{}", lines.join("\n"));
}

fn path(path: &str) -> ModulePath {
    path.split("::").map(str::to_owned).collect()
}

/// The tests above would pass if they saw no imports at all.
#[test]
fn the_imports_are_seen() {
    let edges = edges(false);
    for (from, to) in [
        ("middleware::require", "session"),
        (
            "lifecycle::commit::create",
            "lifecycle::commit::prepared_write",
        ),
        ("event::metrics", "store::call"),
        ("session", "error"),
        // By the name of a child, within a function.
        ("store::redis", "store::redis::health"),
    ] {
        let imports = &edges[&path(from)];
        assert!(imports.contains(&path(to)), "{from}: {imports:?}");
    }
    assert!(edges.len() > 100, "{} files", edges.len());
}

#[test]
fn every_form_of_an_import_counts() {
    let source = r#"
        mod child;
        use crate::{a::{self, A}, b::B as C};
        pub(crate) use self::child::Passed;
        fn f(x: super::Up, y: self::super::super::Two) -> crate::d::D {
            child::g(a::deep::f());
            matches!(x, crate::e::E(child::H));
        }
        #[cfg(test)]
        mod tests { use crate::never::N; }
    "#;
    let mut read = Source {
        module: path("m::n"),
        ..Source::default()
    };
    read.visit_file(&syn::parse_file(source).unwrap());
    read.resolve();
    let expected = [
        "Two",
        "a",
        "a::A",
        "a::deep::f",
        "b::B",
        "d::D",
        "e::E",
        "m::Up",
        "m::n::child::H",
        "m::n::child::g",
    ];
    assert_eq!(read.imports, expected.map(path).into());
    assert_eq!(read.exports["Passed"], path("m::n::child::Passed"));
    let edge = |from, to| (path(from), BTreeSet::from([path(to)]));
    let edges = [
        edge("a", "b"),
        edge("b", "c"),
        edge("c", "a"),
        edge("d", "a"),
    ];
    assert_eq!(circles(edges.into()).len(), 3);
}
