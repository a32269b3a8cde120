//! User expressions: `select` and derived columns, written in polars SQL, checked before any event is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Schema};
use polars::polars_utils::arena::Arena;
use polars::prelude::{AggExpr, DataFrame, Expr, IntoLazy, PolarsResult};
use polars::sql::sql_expr;
use polars_plan::plans::{ExprToIRContext, is_elementwise_rec, to_expr_ir};

use crate::{DataError, bridge, damage};

/// A checked expression over columns of the files. Derived columns it names are already substituted.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    /// `select` or `derived.NAME`, for messages.
    place: String,
    text: String,
    expr: Expr,
    /// Columns of the files it needs, sorted.
    pub(crate) columns: Vec<String>,
}

/// The derived columns of a scan and the columns they may name.
pub(crate) struct Scope<'a> {
    schema: &'a Schema,
    derived: &'a BTreeMap<String, String>,
    files: String,
}

impl<'a> Scope<'a> {
    /// `files` names the data set in messages.
    pub(crate) fn new(schema: &'a Schema, derived: &'a BTreeMap<String, String>, files: String) -> Self {
        Self { schema, derived, files }
    }

    /// The derived columns among `columns` by name, or all of them.
    ///
    /// # Errors
    /// If one has the name of a column of the files, or is not a valid expression, or names itself in a circle.
    pub(crate) fn derived(
        &self,
        columns: Option<&[String]>,
    ) -> Result<BTreeMap<String, Expression>, DataError> {
        let mut expressions = BTreeMap::new();
        let wanted = |name: &String| columns.is_none_or(|columns| columns.contains(name));
        for (name, text) in self.derived.iter().filter(|(name, _)| wanted(name)) {
            if self.schema.field_with_name(name).is_ok() {
                let place = format!("{} and the derived columns", self.files);
                return Err(DataError::DuplicateColumn { column: name.clone(), place });
            }
            expressions.insert(name.clone(), self.expression(format!("derived.{name}"), text)?);
        }
        Ok(expressions)
    }

    /// A column by name: derived, or as it is stored.
    ///
    /// # Errors
    /// If there is none, or its expression is not valid.
    pub(crate) fn column(&self, name: &str) -> Result<Expression, DataError> {
        match self.derived.get(name) {
            Some(text) => self.expression(format!("columns.{name}"), text),
            None => {
                let names = self.schema.fields().iter().map(|field| field.name().as_str());
                let names = names.chain(self.derived.keys().map(String::as_str));
                let _ = self
                    .schema
                    .field_with_name(name)
                    .map_err(|_| DataError::unknown_column(name, &self.files, names))?;
                let expr = polars::prelude::col(name);
                Ok(Expression {
                    place: name.to_owned(),
                    text: name.to_owned(),
                    expr,
                    columns: vec![name.to_owned()],
                })
            }
        }
    }

    /// A condition on events.
    pub(crate) fn select(&self, text: &str) -> Result<Expression, DataError> {
        let expression = self.expression("select".to_owned(), text)?;
        match expression.data_type(self.schema)? {
            DataType::Boolean => Ok(expression),
            other => Err(expression.error(format!(
                "it gives {other}, not true or false; compare it with something, for example `… > 0`"
            ))),
        }
    }

    fn expression(&self, place: String, text: &str) -> Result<Expression, DataError> {
        let expr = self.resolve(&place, text, &mut Vec::new())?;
        let mut columns: Vec<String> =
            expr.clone().meta().root_names().iter().map(ToString::to_string).collect();
        columns.sort_unstable();
        columns.dedup();
        let expression = Expression { place, text: text.to_owned(), expr, columns };
        expression.data_type(self.schema)?;
        Ok(expression)
    }

    /// Parses `text` and replaces the derived columns in it by their own expressions; `path` holds those being replaced.
    fn resolve(&self, place: &str, text: &str, path: &mut Vec<String>) -> Result<Expr, DataError> {
        let parsed = parse(text).map_err(|reason| error(place, text, reason))?;
        let mut replacements = BTreeMap::new();
        for name in parsed.clone().meta().root_names() {
            let name = name.to_string();
            if let Some(definition) = self.derived.get(&name) {
                if path.contains(&name) {
                    let circle = format!("{} → {name}", path.join(" → "));
                    return Err(error(
                        place,
                        text,
                        format!("derived columns are defined by each other: {circle}"),
                    ));
                }
                path.push(name.clone());
                let replacement = self.resolve(&format!("derived.{name}"), definition, path)?;
                path.pop();
                replacements.insert(name, replacement);
            } else if self.schema.field_with_name(&name).is_err() {
                let names = self.schema.fields().iter().map(|field| field.name().as_str());
                let names = names.chain(self.derived.keys().map(String::as_str));
                return Err(DataError::unknown_column(
                    &name,
                    format!("{} ({place} = \"{text}\")", self.files),
                    names,
                ));
            }
        }
        Ok(parsed.map_expr(|expr| match &expr {
            Expr::Column(name) => replacements.get(name.as_str()).cloned().unwrap_or(expr),
            _ => expr,
        }))
    }
}

impl Expression {
    /// The value for every row of `batch`, which must hold [`columns`](Self::columns).
    pub(crate) fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, DataError> {
        // polars panics on some types and operations that it does not support.
        let series = damage::catch(|| self.compute(batch)).map_err(|reason| self.error(reason))?;
        bridge::to_array(&series).map_err(|error| self.error(error.to_string()))
    }

    /// Which rows of `batch` meet a condition; NULL counts as not met.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, DataError> {
        let values = self.evaluate(batch)?;
        let mask = values.as_boolean();
        Ok(if mask.nulls().is_some() { prep_null_mask_filter(mask) } else { mask.clone() })
    }

    fn compute(&self, batch: &RecordBatch) -> PolarsResult<polars::prelude::Series> {
        let column = |name: &String| {
            let array = batch.column_by_name(name).expect("the scan reads the columns of its expressions");
            bridge::to_series(name, array).map(Into::into)
        };
        let columns = self.columns.iter().map(column).collect::<PolarsResult<Vec<_>>>()?;
        let frame = DataFrame::new(batch.num_rows(), columns)?;
        let result = frame.lazy().select([self.expr.clone().alias("value")]).collect()?;
        let series = result.column("value")?.as_materialized_series().clone();
        // An expression of constants alone has one value whatever the number of rows.
        let constant = self.columns.is_empty() && series.len() == 1;
        Ok(if constant { series.new_from_index(0, batch.num_rows()) } else { series })
    }

    /// Type of the result, found by evaluating it on no rows, which also shows whether all operations exist.
    pub(crate) fn data_type(&self, schema: &Schema) -> Result<DataType, DataError> {
        let fields: Result<Vec<_>, _> =
            self.columns.iter().map(|name| schema.field_with_name(name).cloned()).collect();
        let batch = RecordBatch::new_empty(Schema::new(fields?).into());
        Ok(self.evaluate(&batch)?.data_type().clone())
    }

    fn error(&self, reason: String) -> DataError {
        error(&self.place, &self.text, reason)
    }
}

fn error(place: &str, text: &str, reason: String) -> DataError {
    DataError::Expression { place: place.to_owned(), expression: text.to_owned(), reason }
}

/// Parses SQL and makes sure that the value for one event depends on that event alone: events are read in blocks, so
/// a mean or a rank over all of them would silently be one over a block.
fn parse(text: &str) -> Result<Expr, String> {
    let expr = sql_expr(text).map_err(|error| {
        let error = error.to_string();
        // polars reads no exponents.
        let advice = if error.contains("cannot parse literal") { "; write 1000 for 1e3" } else { "" };
        format!("it is not a valid SQL expression: {error}{advice}")
    })?;
    if expr.clone().meta().has_multiple_outputs() || expr.clone().meta().is_regex_projection() {
        return Err("it gives several columns; name one column at a time".to_owned());
    }
    let mut arena = Arena::new();
    let schema = polars::prelude::Schema::default();
    let mut context = ExprToIRContext::new_no_verification(&mut arena, &schema);
    // `x IN (1, 2)` holds its constants as an aggregated literal, which is the same for every event.
    let analysed = expr.clone().map_expr(|expr| match expr {
        Expr::Agg(AggExpr::Implode { input, .. }) if matches!(*input, Expr::Literal(_)) => {
            Arc::unwrap_or_clone(input)
        }
        other => other,
    });
    let node = to_expr_ir(analysed, &mut context).map_err(|error| error.to_string())?.node();
    if is_elementwise_rec(node, &arena) {
        Ok(expr)
    } else {
        Err("it combines several events (an aggregate such as SUM or AVG, a window or a sort); \
             only expressions of one event at a time are possible (lists inside an event: ARRAY_SUM, ARRAY_MEAN, …)"
            .to_owned())
    }
}
