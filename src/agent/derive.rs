//! Children in the likeness of an agent: the same recipe with less of everything.
//! Refuses to add a tool or to take a rule away, and to make the same child twice.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{Agent, Recipe};
use crate::{
    backend::{Backend, Shape},
    hook::Hooks,
    permission::Permissions,
};

/// How many shapes of children an agent remembers.
const MAX_DERIVED: usize = 64;

/// The children an agent has had, by the shape they were made in. What is remembered is what is
/// costly: the tools' schemas, their encoded bytes, and the count of them.
#[derive(Default)]
pub(super) struct Derived(Mutex<Vec<Made>>);

type Made = (Arc<Shape>, Arc<dyn Backend>);

impl Derived {
    pub(super) fn get(&self, shape: &Arc<Shape>, make: impl FnOnce() -> Agent) -> Arc<dyn Backend> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, backend)) = made.iter().find(|(known, _)| Arc::ptr_eq(known, shape)) {
            return backend.clone();
        }
        let backend: Arc<dyn Backend> = Arc::new(make());
        if made.len() == MAX_DERIVED {
            made.remove(0);
        }
        made.push((shape.clone(), backend.clone()));
        backend
    }
}

/// A copy of a recipe has had no children yet.
impl Clone for Derived {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Agent {
    /// This agent in another shape. Its hooks and rules are not repeated: they come to the child
    /// by its grant, which keeps them above whatever the child has.
    pub(super) fn shaped(&self, shape: &Arc<Shape>) -> Self {
        let mut recipe = Recipe::clone(&self.recipe);
        recipe.shape = Some(shape.clone());
        recipe.hooks = Hooks::default();
        recipe.permissions = match &shape.permissions {
            Some(permissions) => permissions.clone(),
            None => Permissions::unrestricted(),
        };
        recipe.page = OnceLock::new();
        let tools = recipe.tools.select(|spec| shape.tools.takes(spec));
        recipe.tools = tools.withhold(|spec| !shape.tools.offers(spec));
        if let Some(system) = &shape.system {
            recipe.system = Cow::clone(system).into_owned();
        }
        if let Some(model) = &shape.model {
            recipe.models = vec![model.clone()];
        }
        if let Some(steps) = shape.max_steps {
            recipe.max_steps = steps.min(recipe.max_steps);
        }
        recipe.history = Vec::new();
        recipe.overhead = OnceLock::new();
        Self {
            recipe: Arc::new(recipe),
        }
    }
}
