//! Plain JavaScript objects: making them, and reading options out of them by name.

use achado_model::{Error, Result};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// `{ key: value, ... }`.
pub fn object<const N: usize>(entries: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        set(&object, key, &value);
    }
    object
}

/// Adds a property to an object that was just made.
pub fn set(object: &Object, key: &str, value: &JsValue) {
    // A fresh plain object refuses no property.
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}

/// `[value, ...]`.
pub fn array<T>(values: impl IntoIterator<Item = T>, each: impl Fn(T) -> JsValue) -> JsValue {
    values.into_iter().map(each).collect::<Array>().into()
}

/// A count as JavaScript's number: exact below 2^53, beyond which no count goes here.
pub fn number(count: usize) -> JsValue {
    JsValue::from_f64(count as f64)
}

/// The largest count: a `usize` of wasm32.
const MAX: f64 = u32::MAX as f64;

/// Options of JavaScript, each asked for by name. Undefined and null are left out.
pub struct Fields<'a> {
    value: &'a JsValue,
    /// Before names in messages: `preprocess.`.
    prefix: &'static str,
}

impl<'a> Fields<'a> {
    /// Reads the properties of `value`.
    pub fn of(value: &'a JsValue) -> Self {
        Self { value, prefix: "" }
    }

    /// The same, where `value` is itself an option.
    pub fn nested(value: &'a JsValue, prefix: &'static str) -> Self {
        Self { value, prefix }
    }

    /// A property, unless it is undefined or null.
    pub fn get(&self, name: &str) -> Option<JsValue> {
        // Fails where `value` is no object: then it has no property either.
        let value = Reflect::get(self.value, &JsValue::from_str(name)).ok()?;
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }

    /// A number, NaN included.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.parse(name, "a number", |value| value.as_f64())
    }

    /// A text.
    pub fn string(&self, name: &str) -> Result<Option<String>> {
        self.parse(name, "a string", |value| value.as_string())
    }

    /// True or false.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.parse(name, "true or false", |value| value.as_bool())
    }

    /// A list of texts.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.parse(name, "an array of strings", |value| list(value, |item| item.as_string()))
    }

    /// A list of numbers.
    pub fn numbers(&self, name: &str) -> Result<Option<Vec<f32>>> {
        // Options are f32 below: JavaScript's doubles are rounded to the nearest.
        self.parse(name, "an array of numbers", |value| {
            list(value, |item| item.as_f64().map(|x| x as f32))
        })
    }

    /// A list of whole numbers from 0.
    pub fn counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        self.parse(name, "an array of whole numbers", |value| {
            let count = |item: JsValue| {
                let number = item.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=MAX).contains(n));
                number.map(|n| n as usize)
            };
            list(value, count)
        })
    }

    /// The names of all properties.
    pub fn names(&self) -> Vec<String> {
        let object = self.value.dyn_ref::<Object>();
        let names = object.map(Object::keys).unwrap_or_default();
        names.iter().filter_map(|name| name.as_string()).collect()
    }

    /// An object.
    pub fn object(&self, name: &str) -> Result<Option<JsValue>> {
        self.parse(name, "an object", |value| value.is_object().then(|| value.clone()))
    }

    /// One of some texts.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        if let Some((_, choice)) = choices.iter().find(|(choice, _)| *choice == text) {
            return Ok(Some(*choice));
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Err(self.wrong(name, format!("must be {}, is \"{text}\"", names.join(" or "))))
    }

    fn parse<T>(
        &self,
        name: &str,
        kind: &str,
        parse: impl Fn(&JsValue) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.wrong(name, format!("must be {kind}"))),
        }
    }

    fn wrong(&self, name: &str, message: String) -> Error {
        let option = format!("{}{name}", self.prefix);
        Error::invalid_option(format!("{option}: {message}")).with("option", option)
    }
}

/// `None` unless `value` is an array whose every element parses.
fn list<T>(value: &JsValue, each: impl Fn(JsValue) -> Option<T>) -> Option<Vec<T>> {
    value.dyn_ref::<Array>()?.iter().map(each).collect()
}
