-- Names are folded as everywhere else: the body is the text of contracts/folding.py, and a new fold
-- is a new function.
use role SYSADMIN;

create function if not exists ${database}.GOVERNANCE.FOLD_NAME_${fold_version}(name varchar)
    returns varchar
    language python
    runtime_version = '3.11'
    immutable
    returns null on null input
    handler = 'fold'
as $$$$
${fold}
$$$$;
