-- A clock that only the simulation moves: these come before PostgreSQL's own in the search path.
CREATE SCHEMA sim;
CREATE SEQUENCE sim.micros MINVALUE 0 START 0;
CREATE SEQUENCE sim.starts MINVALUE 0 START 0;

CREATE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT timestamptz '2030-01-01Z' + last_value * interval '1 microsecond' FROM sim.micros $$;
CREATE FUNCTION sim.statement_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT sim.clock_timestamp() $$;
CREATE FUNCTION sim.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT timestamptz '2029-01-01Z' + last_value * interval '1 second' FROM sim.starts $$;

-- Defaults were bound to PostgreSQL's clock when the tables were made.
DO $$
DECLARE each record;
BEGIN
    FOR each IN
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_default LIKE '%clock_timestamp()%'
            AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public')
    LOOP
        EXECUTE format('ALTER TABLE public.%I ALTER %I SET DEFAULT sim.clock_timestamp()',
            each.table_name, each.column_name);
    END LOOP;
END $$;
