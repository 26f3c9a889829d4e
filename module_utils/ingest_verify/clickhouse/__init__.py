"""What is known of ClickHouse itself."""
