//! Class names: the caller's or the metadata's, for each index of an output.

use std::sync::Arc;

use achado_model::metadata::{Labels, TensorMetadata, fit_labels, is_background};
use achado_model::{Error, Result};

use crate::options::invalid;

/// The names of an output's classes; each list is empty or has one name a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Those that identify the classes.
    pub category: Vec<Arc<str>>,
    /// Those in the caller's language.
    pub display: Vec<Arc<str>>,
}

impl Names {
    /// The caller's list.
    pub(crate) fn from_caller(labels: &[String], classes: usize) -> Result<Self> {
        match fit_labels(labels, classes) {
            Some(names) => Ok(Self { category: shared(&names), display: Vec::new() }),
            None => {
                let found = labels.len();
                let hint = if found + 1 == classes
                    && !labels.first().is_some_and(|l| is_background(l))
                {
                    "; models with one more class usually have \"background\" as index 0: put that name first"
                } else {
                    ""
                };
                Err(invalid(
                    "labels",
                    &format!("the model has {classes} classes, the list has {found} names{hint}"),
                )
                .with("needed", classes)
                .with("found", found))
            }
        }
    }

    /// The metadata's lists: the one without a locale, and the one of `locale`.
    pub(crate) fn from_metadata(
        tensor: &TensorMetadata,
        classes: usize,
        locale: Option<&str>,
    ) -> Result<Self> {
        let pick = |labels: Option<&Labels>| {
            let Some(Labels { file_name, names, .. }) = labels else { return Ok(Vec::new()) };
            fit_labels(names, classes).map(|names| shared(&names)).ok_or_else(|| {
                let found = names.len();
                Error::format(format!(
                    "label file {file_name:?} has {found} names, output {:?} has {classes} classes; \
                     give the right list as labels",
                    tensor.name
                ))
                .with("needed", classes)
                .with("found", found)
            })
        };
        Ok(Self {
            category: pick(tensor.labels.iter().find(|labels| labels.locale.is_empty()))?,
            display: pick(locale.and_then(|locale| lookup(&tensor.labels, locale)))?,
        })
    }
}

fn shared(names: &[String]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(name.as_str())).collect()
}

/// RFC 4647 lookup: the locale itself, then without its last subtag, and so on.
fn lookup<'a>(labels: &'a [Labels], locale: &str) -> Option<&'a Labels> {
    let same = |a: &str, b: &str| a.replace('_', "-").eq_ignore_ascii_case(&b.replace('_', "-"));
    let mut range = locale;
    while !range.is_empty() {
        if let Some(found) = labels.iter().find(|labels| same(&labels.locale, range)) {
            return Some(found);
        }
        range = range.rfind(['-', '_']).map_or("", |end| &range[..end]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(locale: &str, names: &[&str]) -> Labels {
        Labels {
            file_name: format!("labels{locale}.txt"),
            locale: locale.into(),
            names: names.iter().map(|&name| name.into()).collect(),
        }
    }

    fn names(n: usize, first: &str) -> Vec<String> {
        (0..n).map(|i| if i == 0 { first.into() } else { format!("class {i}") }).collect()
    }

    #[test]
    fn a_list_of_another_length_is_refused_with_both_numbers() {
        let message =
            |list: &[String], classes| Names::from_caller(list, classes).unwrap_err().to_string();
        assert_eq!(
            message(&names(1000, "tench"), 1001),
            "INVALID_OPTION: labels: the model has 1001 classes, the list has 1000 names; models \
             with one more class usually have \"background\" as index 0: put that name first"
        );
        assert_eq!(
            message(&names(1001, "tench"), 1000),
            "INVALID_OPTION: labels: the model has 1000 classes, the list has 1001 names"
        );
        let without = Names::from_caller(&names(1001, "background"), 1000).unwrap();
        assert_eq!((without.category.len(), &*without.category[0]), (1000, "class 1"));
        assert_eq!(
            message(&[], 5),
            "INVALID_OPTION: labels: the model has 5 classes, the list has 0 names"
        );
        assert_eq!(Names::from_caller(&names(3, "a"), 3).unwrap().category.len(), 3);
    }

    #[test]
    fn locales_are_looked_up_by_truncation() {
        let tensor = TensorMetadata {
            name: "probability".into(),
            labels: vec![list("", &["cat", "dog"]), list("pt", &["gato", "cão"])],
            ..Default::default()
        };
        for locale in ["pt", "PT", "pt-BR", "pt_BR", "pt-Latn-BR"] {
            let names = Names::from_metadata(&tensor, 2, Some(locale)).unwrap();
            assert_eq!((&*names.category[1], &*names.display[1]), ("dog", "cão"));
        }
        for locale in [None, Some("en"), Some("")] {
            let names = Names::from_metadata(&tensor, 2, locale).unwrap();
            assert_eq!(names.display, []);
        }
        let error = Names::from_metadata(&tensor, 3, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "MODEL_FORMAT: label file \"labels.txt\" has 2 names, output \"probability\" has 3 \
             classes; give the right list as labels"
        );
    }
}
