"""Pasted things made of rows: CSV, markdown tables, schemas, ledgers, lab reports, logs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .grammar import Grammar

__all__ = [
    "ledger",
    "pasted_csv",
    "pasted_lab_report",
    "pasted_log",
    "pasted_schema",
    "pasted_table",
]

_NOUNS = (
    "orders",
    "patients",
    "books",
    "flights",
    "staff",
    "loans",
    "teams",
    "courses",
    "songs",
    "shipments",
    "members",
    "tickets",
    "suppliers",
    "rooms",
    "visits",
    "cities",
)
_FIELDS = (
    "id INT PRIMARY KEY",
    "name VARCHAR(80)",
    "price DECIMAL(10,2)",
    "created_at TIMESTAMP",
    "status TEXT",
    "qty INT",
    "email TEXT UNIQUE",
    "birth_date DATE",
    "city TEXT",
    "score REAL",
    "is_active BOOLEAN",
    "notes TEXT",
    "year INT",
    "phone VARCHAR(20)",
)
_SPENDING = (
    "Rent",
    "Groceries",
    "Salary",
    "Electricity",
    "Netflix",
    "Coffee",
    "Fuel",
    "Insurance",
    "Gym",
    "Restaurant",
    "Loan repayment",
    "Pharmacy",
    "Client payment",
    "Office supplies",
    "Advertising",
    "Payroll",
    "Dividends",
    "Bank fee",
    "Phone",
    "Savings transfer",
)
_LABS = (
    "Hemoglobin g/dL",
    "WBC 10^9/L",
    "Platelets",
    "Glucose mg/dL",
    "HbA1c %",
    "Creatinine mg/dL",
    "ALT U/L",
    "AST U/L",
    "TSH mIU/L",
    "LDL mg/dL",
    "HDL mg/dL",
    "Triglycerides",
    "Ferritin ng/mL",
    "Vitamin D ng/mL",
    "Potassium mmol/L",
    "Sodium mmol/L",
    "CRP mg/L",
    "Bilirubin",
)
_LOG_LINES = (
    "INFO Starting worker pid={n}",
    "WARN Slow response from upstream: {n} ms",
    "ERROR Connection refused (os error 111)",
    'ERROR Traceback (most recent call last): File "app.py", line {n}, in handler',
    "DEBUG cache miss key=user:{n}",
    "FATAL out of memory: killed process {n}",
    "ERROR could not acquire lock on /var/lib/dpkg/lock",
    "WARN retrying request attempt {n}",
    "ERROR 500 GET /api/items/{n}",
    "kernel: usb 1-{n}: device descriptor read error -71",
    "npm ERR! code ELIFECYCLE errno {n}",
    'Exception in thread "main" java.lang.IllegalStateException at Service.java:{n}',
    "E/AndroidRuntime: FATAL EXCEPTION: main PID: {n}",
    "Back-off restarting failed container web-{n}",
    "sshd[{n}]: Failed password for root from 10.0.0.{n}",
    "systemd[1]: app.service: Main process exited, code=exited, status={n}",
)


def _columns(grammar: Grammar) -> dict[str, Callable[[Random], str]]:
    return {
        "id": lambda rng: str(rng.randint(1, 999)),
        "name": lambda rng: grammar.fill("name", rng),
        "city": lambda rng: grammar.fill("city", rng),
        "country": lambda rng: grammar.fill("country", rng),
        "date": lambda rng: grammar.fill("date", rng).replace(",", ""),
        "product": lambda rng: grammar.fill("product", rng),
        "job": lambda rng: grammar.fill("job", rng),
        "animal": lambda rng: grammar.fill("animal", rng),
        "item": lambda rng: grammar.fill("food", rng),
        "month": lambda rng: grammar.fill("month", rng),
        "units": lambda rng: str(rng.randint(0, 400)),
        "price": lambda rng: f"{rng.uniform(1, 300):.2f}",
        "score": lambda rng: rng.choice([str(rng.randint(1, 100)), "", "N/A", "NULL"]),
        "revenue": lambda rng: str(rng.randint(100, 90000)),
        "status": lambda rng: rng.choice(["open", "closed", "paid", "late", "cancelled", ""]),
        "age": lambda rng: str(rng.randint(18, 80)),
        "rate": lambda rng: f"{rng.uniform(0, 60):.1f}%",
        "temp_c": lambda rng: f"{rng.uniform(-9, 38):.1f}",
    }


def _grid(grammar: Grammar, rng: Random) -> list[list[str]]:
    columns = _columns(grammar)
    names = rng.sample(sorted(columns), rng.randint(3, 6))
    rows = [[columns[name](rng) for name in names] for _ in range(rng.randint(3, 9))]
    return [names, *rows]


def pasted_csv(grammar: Grammar, rng: Random) -> str:
    """Rows with a header, parted by commas, semicolons or tabs."""
    separator = rng.choice([",", ",", ";", "\t", ", "])
    return "\n".join(separator.join(row) for row in _grid(grammar, rng))


def pasted_table(grammar: Grammar, rng: Random) -> str:
    """A markdown table."""
    header, *rows = _grid(grammar, rng)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ledger(grammar: Grammar, rng: Random) -> str:
    """A bank statement or list of expenses."""
    lines = [
        f"{grammar.fill('date', rng)} {rng.choice(_SPENDING)} "
        f"{rng.choice(['', '-', '+'])}{rng.uniform(3, 4000):.2f}"
        for _ in range(rng.randint(4, 10))
    ]
    return "\n".join(lines)


def pasted_schema(rng: Random) -> str:
    """Two or three tables, as DDL or in short form."""
    blocks = []
    for table in rng.sample(_NOUNS, rng.randint(2, 3)):
        fields = ["id INT PRIMARY KEY", *rng.sample(_FIELDS[1:], rng.randint(2, 5))]
        if rng.random() < 0.5:
            blocks.append(f"CREATE TABLE {table} (\n  " + ",\n  ".join(fields) + "\n);")
        else:
            blocks.append(f"{table}({', '.join(field.split()[0] for field in fields)})")
    return "\n".join(blocks)


def pasted_lab_report(rng: Random) -> str:
    """Laboratory values with flags."""
    lines = [
        f"{name}: {rng.uniform(0.4, 180):.1f} {rng.choice(['', '', 'H', 'L', '(high)', '(low)'])}"
        for name in rng.sample(_LABS, rng.randint(3, 8))
    ]
    return "\n".join(line.strip() for line in lines)


def pasted_log(rng: Random) -> str:
    """A few lines of a service's log."""
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    lines = []
    for second, line in enumerate(rng.choices(_LOG_LINES, k=rng.randint(2, 8))):
        stamp = f"{hour:02d}:{minute:02d}:{second:02d} " if rng.random() < 0.8 else ""
        lines.append(stamp + line.replace("{n}", str(rng.randint(1, 9999))))
    return "\n".join(lines)
