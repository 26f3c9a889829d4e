"""What one error of a client's log comes down to: which side, which cause, which next step."""

from __future__ import annotations

from ...causes import LOG, forms_of, narrowest
from ...facts.log.errors import ClientError
from . import clickhouse_rules, code_rules, connection_rules, program_rules, row_rules, source_rules
from .context import Context, Judged, endpoints, first_line, place

# Each on its own: of those that hold the narrowest decides, as the catalogue says, and not the order.
_RULES: tuple[connection_rules.Rule, ...] = (
    clickhouse_rules.address_syntax,
    program_rules.missing_variable,
    program_rules.missing_module,
    program_rules.bad_arguments,
    row_rules.other_columns,
    row_rules.unknown_element,
    code_rules.key_error,
    row_rules.unwritable_value,
    program_rules.out_of_resources,
    program_rules.missing_file,
    source_rules.other_shape,
    *connection_rules.CONNECTION_RULES,
    connection_rules.http_error,
    source_rules.unreadable_answer,
    source_rules.source_words,
    program_rules.dry_run_told,
    code_rules.no_text,
    code_rules.text_alone,
)


def held(error: ClientError, context: Context) -> list[Judged]:
    """What the catalogue's own texts and the rules say of one error, each on its own."""
    words = {"brief": first_line(error.message), "place": place(error)}
    told = [form.decide(cause.id, found, words) for cause, form, found in forms_of(LOG, error.text)]
    return told + [judged for rule in _RULES if (judged := rule(error, context))]


def judge(error: ClientError, context: Context) -> Judged:
    """The cause of one error. Never fails: what no rule knows is `client_exception` with the text as it is."""
    told = narrowest(held(error, context))
    judged = told[0] if told else code_rules.unexplained(error, context)
    if judged.cause == "config_env_file":
        # A variable that is not set is told by the name that the program asked for.
        return judged
    named = [endpoint for endpoint in endpoints(error.text) if endpoint != context.api]
    near = next(iter(named), context.clickhouse)
    for name in ("headline", "next_step", "object", "expected", "actual"):
        if said := getattr(judged, name):
            setattr(judged, name, context.renamed(said, near))
    return judged
