"""Settings, files and variables that do not say what is meant."""

from __future__ import annotations

from .model import CONFIGURATION, LOADER, SCHEMA, Cause

CONFIG = (
    Cause(
        "config_variable",
        "A variable of the inventory is missing, unknown or wrong",
        CONFIGURATION,
        "The play's own check of its variables, or the loader's of its environment.",
    ),
    Cause(
        "config_env_file",
        "The env file is missing, unreadable, open to all, or badly written",
        CONFIGURATION,
        "The file itself.",
        row=33,
        narrower_than=("client_key_error", "source_bad_payload"),
    ),
    Cause(
        "config_placeholder", "A placeholder or empty token or organisation", CONFIGURATION, "The value itself.", row=32
    ),
    Cause(
        "config_dry_run", "DRY_RUN is on", CONFIGURATION, "The variable's value, or the loader's own record.", row=31
    ),
    Cause(
        "config_base_url", "The API's address is not one", CONFIGURATION, "The value itself, or the loader's own cause."
    ),
    Cause(
        "config_address_syntax",
        "An address that does not parse as meant",
        CONFIGURATION,
        "The parser's own error, or characters that a URL reserves in the value.",
    ),
    Cause(
        "config_other_database",
        "The loader writes another database than the run verifies",
        CONFIGURATION,
        "The env file's value differs from the inventory's, or the statements' database does.",
        row=34,
    ),
    Cause(
        "config_other_environment",
        "A value of another environment",
        CONFIGURATION,
        "The value names another environment.",
        row=34,
    ),
    Cause(
        "config_targets",
        "A target table of the inventory does not exist",
        CONFIGURATION,
        "The catalog has no table of that name.",
    ),
    Cause(
        "config_setting",
        "A setting that this server does not know or take",
        CONFIGURATION,
        "The server's own list of settings.",
    ),
    Cause(
        "config_sql_file",
        "An SQL file that cannot be read as statements",
        SCHEMA,
        "The file's own text: encoding, quotes, comments.",
    ),
    Cause("config_schema_file", "The schema file is not there", CONFIGURATION, "The path itself."),
    Cause("config_data_check", "A data check that is declared wrongly", CONFIGURATION, "The declaration itself."),
    Cause(
        "config_rows_at_stake",
        "A schema change would lose rows",
        SCHEMA,
        "The statement drops or replaces a table that holds rows.",
    ),
    Cause(
        "config_stale_image",
        "The loader's image is older than its source",
        LOADER,
        "The image's label differs from the source's hash.",
        row=36,
    ),
    Cause("config_address", "The address in the settings cannot be the server's", CONFIGURATION, "The value itself."),
)
