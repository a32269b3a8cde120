//! Which model every group of targets has.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Judge, ModelConfig, Space};
use crate::config::ConfigError;

/// The models of a run: one table for all groups of targets, or a list with a table for each, all of one kind.
///
/// Groups differ in width and in what they need: layer energies are few and have to be exact, voxels are many.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfigs(Vec<ModelConfig>);

impl ModelConfigs {
    /// The same for every group.
    pub fn all(model: ModelConfig) -> Self {
        Self(vec![model])
    }

    /// Configuration of a group, counted from 0.
    pub fn of(&self, group: usize) -> &ModelConfig {
        self.0.get(group).unwrap_or(&self.0[0])
    }

    /// Checks values that types alone cannot.
    ///
    /// # Errors
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), ConfigError> {
        for model in &self.0 {
            if model.kind() != self.kind() {
                let expected = format!("\"{}\", as that of the first group", self.kind());
                return Err(ConfigError::value("model.kind", model.kind(), expected));
            }
            model.check()?;
            if let (Some(first), Some(steps)) = (critic_steps(self.of(0)), critic_steps(model))
                && steps != first
            {
                let expected =
                    format!("{first}, as that of the first group: their critics learn in the same steps");
                return Err(ConfigError::value("model.critic_steps", steps, expected));
            }
        }
        Ok(())
    }

    /// Checks that every group of a space has its model, and that images are as large as its targets.
    ///
    /// # Errors
    /// If there are several models and another number of groups, or an image of another size.
    pub fn check_space(&self, space: &Space) -> Result<(), ConfigError> {
        let (models, groups) = (self.0.len(), space.target_groups.len());
        if models != 1 && models != groups {
            let expected =
                format!("one table for all, or a list of {groups}: as many groups have the targets");
            return Err(ConfigError::value("model", format!("{models} tables"), expected));
        }
        let mut groups = space.target_groups.iter().enumerate();
        groups.try_for_each(|(i, group)| self.of(i).check_targets(group.len()))
    }

    /// Name of the kind as written in a configuration.
    pub fn kind(&self) -> &'static str {
        self.of(0).kind()
    }

    /// What the loss of this kind is.
    pub fn loss_label(&self) -> &'static str {
        self.of(0).loss_label()
    }

    /// Whether models of this kind have a density.
    pub fn has_density(&self) -> bool {
        self.of(0).has_density()
    }

    /// Whether the density of this kind is estimated with a lower bound.
    pub fn estimates_density(&self) -> bool {
        self.of(0).estimates_density()
    }

    /// How the epochs of this kind are compared.
    pub fn judge(&self) -> Judge {
        self.of(0).judge()
    }
}

fn critic_steps(model: &ModelConfig) -> Option<usize> {
    match model {
        ModelConfig::Gan(config) => Some(config.critic_steps),
        ModelConfig::Wgan(config) => Some(config.critic_steps),
        _ => None,
    }
}

impl Serialize for ModelConfigs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [model] => model.serialize(serializer),
            models => models.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ModelConfigs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = ModelConfigs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table [model], or tables [[model]] for every group of targets")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelConfigs, A::Error> {
                Ok(ModelConfigs::all(ModelConfig::deserialize(MapAccessDeserializer::new(map))?))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<ModelConfigs, A::Error> {
                let models = Vec::deserialize(SeqAccessDeserializer::new(sequence))?;
                if models.is_empty() {
                    return Err(serde::de::Error::invalid_length(0, &self));
                }
                Ok(ModelConfigs(models))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for ModelConfigs {
    fn schema_name() -> Cow<'static, str> {
        "ModelConfigs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let model = generator.subschema_for::<ModelConfig>();
        json_schema!({
            "description": "One table for all groups of targets, or a list with a table for each, all of one kind.",
            "anyOf": [model, { "type": "array", "items": model, "minItems": 1 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Run {
        model: ModelConfigs,
    }

    fn parse(text: &str) -> Result<Run, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn one_table_serves_all_groups_and_several_one_each() {
        let one = parse("[model]\nkind = \"cvae\"\nlatents = 3").unwrap().model;
        assert_eq!(one.of(0), one.of(1));
        let two = "[[model]]\nkind = \"cvae\"\nlatents = 3\n[[model]]\nkind = \"cvae\"\nlatents = 5";
        let two = parse(two).unwrap();
        assert_ne!(two.model.of(0), two.model.of(1));
        assert_eq!(parse(&toml::to_string(&two).unwrap()).unwrap().model, two.model);
        let space = |groups: usize| Space {
            conditions: 1,
            target_groups: (0..groups).map(|i| i..i + 1).collect(),
            target_categories: Vec::new(),
        };
        one.check_space(&space(3)).unwrap();
        two.model.check_space(&space(2)).unwrap();
        let error = two.model.check_space(&space(3)).unwrap_err().to_string();
        assert!(error.contains("2 tables") && error.contains("a list of 3"), "{error}");
    }

    #[test]
    fn images_are_as_large_as_the_targets() {
        let with = |convolutions: &str| {
            let network = format!("{{ convolutions = {{ {convolutions} }} }}");
            parse(&format!("model = {{ kind = \"gan\", critic = {network} }}")).unwrap().model
        };
        let space = Space {
            conditions: 1,
            target_groups: std::iter::once(0..6 * 8).collect(),
            target_categories: Vec::new(),
        };
        let good = with("image = [1, 6, 8], channels = [4, 8]");
        good.check().unwrap();
        good.check_space(&space).unwrap();
        let error = with("image = [3, 6, 8], channels = [4]").check_space(&space).unwrap_err().to_string();
        assert!(error.contains("model.critic.convolutions.image") && error.contains("48 targets"), "{error}");
        let error = with("image = [1, 6, 8], channels = [4, 8, 16]").check().unwrap_err().to_string();
        assert!(error.contains("1 to 2 numbers"), "{error}");
    }

    #[test]
    fn bad_models_are_named() {
        let error = parse("model = []").unwrap_err();
        assert!(error.contains("[[model]]"), "{error}");
        let error = parse("model = 3").unwrap_err();
        assert!(error.contains("a table [model]"), "{error}");
        let error = parse("[[model]]\nkind = \"cvae\"\nlatent = 3").unwrap_err();
        assert!(error.contains("latent"), "{error}");
        let mixed = parse("model = [{ kind = \"cvae\" }, { kind = \"flow\" }]").unwrap().model;
        let error = mixed.check().unwrap_err().to_string();
        assert!(error.contains("flow") && error.contains("cvae"), "{error}");
        let uneven = "model = [{ kind = \"gan\", critic_steps = 1 }, { kind = \"gan\", critic_steps = 2 }]";
        let error = parse(uneven).unwrap().model.check().unwrap_err().to_string();
        assert!(error.contains("model.critic_steps = 2"), "{error}");
    }
}
